/** Paints the state: the list, the thread, the title, banners and toasts. */
import "./elements/conversation-list.js";
import "./elements/group-info.js";
import "./elements/message-composer.js";
import "./elements/message-list.js";
import "./elements/people-dialog.js";
import { dropLine, markRead } from "./acts.js";
import { el, paintAvatar } from "./dom.js";
import { lastSeen } from "./format.js";
import { laterId } from "./ids.js";
import { me, root, state, view } from "./model.js";
import { faceOf, nameOf, textOf, titleOf, typistsOf } from "./names.js";
import * as store from "./store.js";
import { loadConversations } from "./sync.js";

const BANNER_AFTER_MS = 1_200;
const TOAST_MS = 5_000;

export const $ = (id) => document.getElementById(id);
export const list = document.querySelector("conversation-list");
export const messages = document.querySelector("message-list");
export const composer = document.querySelector("message-composer");
export const people = document.querySelector("people-dialog");
export const info = document.querySelector("group-info");

// --- list ------------------------------------------------------------------------------------------

function item(conv) {
  const last = store.previewOf(state, conv);
  const mine = last && last.from === me.id && last.kind !== "event";
  let preview = last ? textOf(last).replace(/\s+/gu, " ").slice(0, 160) : "No messages yet";
  if (last && conv.type === "group" && last.kind !== "event") preview = `${mine ? "You" : nameOf(last.from).split(" ")[0]}: ${preview}`;
  return {
    id: conv.id,
    face: faceOf(conv),
    name: titleOf(conv),
    preview,
    status: mine ? store.statusOf(state, last) : null,
    ts: last?.ts ?? Date.parse(conv.created_at),
    unread: conv.unread_count,
    online: conv.peer ? state.presence[conv.peer.id]?.state === "online" : false,
    active: conv.id === view.active,
    typing: typistsOf(conv),
  };
}

export function paintList() {
  if (!state.listLoaded && !view.listError) return;
  const wanted = $("search").value.trim().toLocaleLowerCase();
  const matches = (conv) =>
    !wanted ||
    titleOf(conv).toLocaleLowerCase().includes(wanted) ||
    (conv.peer?.username ?? "").includes(wanted) ||
    (store.previewOf(state, conv)?.body ?? "").toLocaleLowerCase().includes(wanted);
  const found = store.sortedConversations(state).filter(matches).map(item);
  list.show(found, emptyList(wanted));
}

function emptyList(wanted) {
  const button = (label, onclick) => el("div", {}, el("button", { className: "button", type: "button", onclick }, label));
  if (wanted) return el("div", { className: "list-empty" }, el("strong", {}, "Nothing found"), `No conversation matches “${$("search").value.trim()}”.`);
  if (view.listError) {
    return el("div", { className: "list-empty", role: "alert" }, el("strong", {}, "Could not load your conversations"), view.listError, button("Try again", loadConversations));
  }
  return el("div", { className: "list-empty" }, el("strong", {}, "No conversations yet"), "Find somebody by name and say hello.", button("Start a chat", () => $("new-chat").click()));
}

// --- thread ----------------------------------------------------------------------------------------

function subtitle(conv) {
  const typing = typistsOf(conv);
  if (typing) return { text: typing, live: true };
  if (conv.type === "dm") {
    const presence = conv.peer && state.presence[conv.peer.id];
    if (presence?.state === "online") return { text: "online", live: true };
    return { text: presence?.last_seen ? lastSeen(presence.last_seen) : `@${conv.peer?.username ?? ""}`, live: false };
  }
  const others = (conv.members ?? []).filter((one) => one.id !== me.id);
  const online = others.filter((one) => state.presence[one.id]?.state === "online").length;
  const count = `${conv.members_count} members`;
  return { text: online ? `${count}, ${online} online` : count, live: false };
}

function paintThread() {
  const { active } = view;
  const conv = state.convs[active];
  $("welcome").hidden = Boolean(active);
  $("thread").hidden = !active;
  if (!active) return;
  const title = conv ? titleOf(conv) : "";
  $("thread-name").textContent = title;
  const sub = conv ? subtitle(conv) : { text: "", live: false };
  if ($("thread-sub").textContent !== sub.text) $("thread-sub").textContent = sub.text;
  $("thread-sub").toggleAttribute("data-live", sub.live);
  if (conv) paintAvatar($("thread-avatar"), faceOf(conv), title, conv.peer && state.presence[conv.peer.id]?.state === "online");
  const group = conv?.type === "group";
  $("thread-info").hidden = !group;
  $("thread-who").disabled = !group;
  if (group && info.isOpen && info.conv === conv.id && !info.contains(document.activeElement?.closest("input"))) info.show(conv, me.id);
  const thread = store.threadOf(state, active);
  // Who answers has read: the line never stands above one's own message.
  const answered = thread.messages.findLast((one) => one.from === me.id)?.server_id;
  messages.show({
    conv: active,
    messages: thread.messages,
    me: me.id,
    group,
    statusOf: (message) => store.statusOf(state, message),
    nameOf,
    textOf,
    isUnread: (message) =>
      view.lineAfter !== null && Boolean(message.server_id) && store.isUnread(state, message, laterId(view.lineAfter, answered)),
    loading: !thread.loaded,
    complete: thread.complete,
    error: view.errors.get(active),
  });
}

/** What is on the screen of somebody who looks at it counts as read. */
export function seen() {
  if (document.visibilityState === "visible" && document.hasFocus() && messages.atBottom) markRead();
}

/** The list was read anew: a line that was drawn from an older copy goes. */
export function listed() {
  if (dropLine()) messages.toBottom();
}

export function paint() {
  paintList();
  paintThread();
  const unread = store.totalUnread(state);
  const name = state.convs[view.active] ? titleOf(state.convs[view.active]) : "Chat";
  document.title = unread ? `(${unread}) ${name}` : name;
  seen();
}

// --- notices ---------------------------------------------------------------------------------------

let bannerTimer = null;

export function banner(text, final = false) {
  const node = $("banner");
  node.hidden = !text;
  node.textContent = text ?? "";
  node.toggleAttribute("data-final", final);
  $("thread-banner").hidden = !text;
  $("thread-banner").textContent = text ?? "";
}

/** Show the connection; a short break is not worth a word. */
export function paintConnection(change) {
  root.dataset.connection = change;
  if (change === "online") {
    clearTimeout(bannerTimer);
    bannerTimer = null;
    banner(null);
  } else if (!bannerTimer) {
    bannerTimer = setTimeout(() => banner("Connecting… your messages will be sent."), BANNER_AFTER_MS);
  }
}

export function toast(text) {
  const node = el("div", { className: "toast" }, text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}
