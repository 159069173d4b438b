/** Paints the state: the list, the thread, the title, banners and toasts. */
import "./elements/conversation-list.js";
import "./elements/message-composer.js";
import "./elements/message-list.js";
import { dropLine, markRead } from "./acts.js";
import { botMark, el, paintAvatar, style } from "./dom.js";
import { lastSeen } from "./format.js";
import { _, handle, n } from "./i18n.js";
import { laterId } from "./ids.js";
import { mediaOf } from "./media.js";
import { changed, dispatch, me, root, state, view } from "./model.js";
import { excerpt, faceOf, mentionsOf, nameOf, pictureOf, preview, quoteOf, summaryOf, textOf, titleOf, typistsOf } from "./names.js";
import * as store from "./store.js";
import { loadConversations, wire } from "./sync.js";

const BANNER_AFTER_MS = 1_200;
const SLOW_MS = 5_000;
const TOAST_MS = 6_000;

export const $ = (id) => document.getElementById(id);
export const list = document.querySelector("conversation-list");
export const messages = document.querySelector("message-list");
export const composer = document.querySelector("message-composer");
export const info = document.querySelector("conversation-info");
export const menu = document.querySelector("message-menu");
export const rowMenu = document.querySelector("conversation-menu");
export const pinnedBar = document.querySelector("pinned-bar");

/** Dialogs, menus, files and the microphone: not in the way of the first picture, and there before one asks for them. */
const LATER = ["voice-recorder", "attachment-tray", "mention-list", "confirm-dialog", "message-menu", "conversation-menu", "conversation-info", "people-dialog", "forward-dialog", "report-dialog", "media-lightbox"];
const LATER_MS = 2_000;

const idle = globalThis.requestIdleCallback ?? ((work) => setTimeout(work, LATER_MS));
const load = (name) => Promise.all([import(`./elements/${name}.js`), style("dialogs"), style("media")]);

/** What joins the page by itself. */
const JOINS = ["announce", "background", "later", "previews", "select", "update"];
/** What they bring. */
export const extras = { previewOf: () => null };

/** Load what will be wanted, once there is nothing else to do. What cannot be had now is asked for when it is wanted. */
export const loadLater = () =>
  idle(
    () => {
      LATER.forEach((name) => load(name).catch(() => {}));
      import("./people.js").catch(() => {});
      JOINS.forEach((name) => import(`./${name}.js`).then(({ begin }) => begin()).catch(() => {}));
    },
    { timeout: LATER_MS },
  );

/** Return an element that is not there from the beginning; its module is loaded the first time. Throws where that fails. */
export async function summon(name) {
  try {
    await load(name);
  } catch {
    throw new Error(_("No connection to the server."));
  }
  const there = document.querySelector(name);
  if (there) return there;
  const made = document.createElement(name);
  document.body.append(made);
  return made;
}

export const failed = (error) => toast(error.message);

/** What is about to open: it may have to be loaded first. */
let opening = null;

/** Do something with a dialog or menu, unless Escape or another one comes before it is there. */
export function withElement(name, use) {
  const mine = (opening = {});
  summon(name)
    .then((element) => opening === mine && use(element))
    .catch(failed)
    .finally(() => opening === mine && (opening = null));
}

/** Have what is about to open not do so; returns whether there was anything. */
export function callOff() {
  const was = opening;
  opening = null;
  return Boolean(was);
}

export const people = (...how) => withElement("people-dialog", (dialog) => dialog.open(...how));

/** Ask before something is done that is not easily undone. */
export const confirm = { ask: async (what) => (await summon("confirm-dialog")).ask(what) };

const isOnline = (conv) => Boolean(conv.peer) && !store.isBlocked(state, conv) && state.presence[conv.peer.id]?.state === "online";

// --- list ------------------------------------------------------------------------------------------

function item(conv) {
  const last = store.previewOf(state, conv);
  const mine = last && last.from === me.id && last.kind !== "event";
  let text = last ? preview(summaryOf(last)) : _("No messages yet");
  if (last && conv.type === "group" && last.kind !== "event") text = `${mine ? _("You") : nameOf(last.from).split(" ")[0]}: ${text}`;
  return {
    id: conv.id,
    face: faceOf(conv),
    picture: pictureOf(conv),
    name: titleOf(conv),
    preview: text,
    status: mine && !last.deleted && !last.withheld ? store.statusOf(state, last) : null,
    ts: last?.ts ?? Date.parse(conv.created_at),
    unread: conv.unread_count,
    marked: Boolean(conv.marked_unread),
    pinned: Boolean(conv.pinned),
    mentioned: Boolean(conv.mentioned) && conv.unread_count > 0,
    muted: store.isMuted(conv, Date.now()),
    online: isOnline(conv),
    active: conv.id === view.active,
    typing: typistsOf(conv),
    draft: conv.id !== view.active && view.drafts[conv.id] ? preview(view.drafts[conv.id]) : null,
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
  const all = store.sortedConversations(state);
  const away = all.filter((conv) => conv.archived);
  if (!away.length) view.archive = false;
  // Who searches finds also what was put away.
  const shelf = (conv) => wanted || Boolean(conv.archived) === view.archive;
  list.show(all.filter((conv) => shelf(conv) && matches(conv)).map(item), emptyList(wanted));
  $("archive").hidden = !away.length || Boolean(wanted);
  $("archive").setAttribute("aria-expanded", String(view.archive));
  $("archive-label").textContent = view.archive ? _("Back to all conversations") : _("Archived ({count})", { count: away.length });
}

function emptyList(wanted) {
  const say = (title, text, label, onclick, role) => ({
    key: title + text,
    make: () => el("div", { className: "list-empty", role }, el("strong", {}, title), text, el("div", {}, el("button", { className: "button", type: "button", onclick }, label))),
  });
  if (wanted) {
    const typed = $("search").value.trim();
    const find = () => list.dispatchEvent(new CustomEvent("find-people", { detail: typed }));
    return say(_("Nothing found"), _("No conversation matches “{text}”.", { text: typed }), _("Find people"), find);
  }
  if (view.listError) return say(_("Could not load your conversations"), view.listError, _("Try again"), loadConversations, "alert");
  if (Object.values(state.convs).some((conv) => conv.archived)) return say(_("Nothing here"), _("All your conversations are in the archive."), _("Show the archive"), () => $("archive").click());
  return say(_("No conversations yet"), _("Find somebody by name and say hello."), _("Start a chat"), () => $("new-chat").click());
}

// --- thread ----------------------------------------------------------------------------------------

function presenceOf(conv) {
  const presence = conv.peer && !store.isBlocked(state, conv) ? state.presence[conv.peer.id] : null;
  if (presence?.state === "online") return _("online");
  return presence?.last_seen ? lastSeen(presence.last_seen) : null;
}

function subtitle(conv) {
  if (conv.closed) return { text: _("no longer a member"), live: false };
  const typing = typistsOf(conv);
  if (typing) return { text: typing, live: true };
  if (conv.type === "dm") return { text: presenceOf(conv) ?? (conv.peer ? handle(conv.peer.username) : ""), live: isOnline(conv) };
  const others = (conv.members ?? []).filter((one) => one.id !== me.id);
  const online = others.filter((one) => state.presence[one.id]?.state === "online").length;
  const count = n("{count} member", "{count} members", conv.members_count);
  return { text: online ? _("{members}, {count} online", { members: count, count: online }) : count, live: false };
}

/** Why one cannot write here, and whether that is one's own block; null where one can. */
function obstacle(conv) {
  if (!conv) return null;
  if (conv.closed) return { text: conv.closed.by ? _("{who} removed you from this group.", { who: nameOf(conv.closed.by) }) : _("You are no longer in this group.") };
  if (conv.type === "dm" && !conv.peer) return { text: _("This account no longer exists.") };
  if (conv.encrypted) return { text: _("This conversation is encrypted. Read and write it in an app that has its keys.") };
  if (store.isBlocked(state, conv)) return { text: _("You blocked {name}.", { name: titleOf(conv) }), own: true };
  return null;
}

/** What the info dialog shows of a conversation. */
export function infoOf(conv) {
  const parts = conv.type === "dm" ? [conv.peer && handle(conv.peer.username), presenceOf(conv)] : [n("{count} member", "{count} members", conv.members_count)];
  return {
    conv,
    me: me.id,
    face: faceOf(conv),
    picture: pictureOf(conv),
    title: titleOf(conv),
    subtitle: parts.filter(Boolean).join(" · "),
    muted: store.isMuted(conv, Date.now()),
    blocked: store.isBlocked(state, conv),
    asking: store.manages(conv) ? (state.requests[conv.id] ?? []) : [],
  };
}

/** What one may do with a message that is there: `reply`, `react`, `select`, `forward`, `copy`, `link`, `profile`, `details`, `pin` or `unpin`, `edit`, `report`, `unpreview`, `delete`; with one that is withheld `appeal`. */
export function mayDo(conv, message) {
  if (!conv || message.kind === "event") return [];
  const mine = message.from === me.id;
  const open = !obstacle(conv);
  const moderates = conv.type === "group" && ["owner", "admin"].includes(conv.role);
  if (message.withheld) return mine ? ["appeal", ...(conv.closed ? [] : ["delete"])] : [];
  const pins = open && (conv.type === "dm" || moderates);
  const pinned = store.pinsOf(state, conv.id).some((one) => one.message.server_id === message.server_id);
  const may = { reply: open, react: open, link: !conv.closed, profile: !mine && conv.type === "group" && Boolean(state.users[message.from]), details: mine && Boolean(conv.members ?? conv.peer), pin: pins && !pinned, unpin: pins && pinned, select: true, forward: !conv.encrypted, copy: Boolean(message.body) && !conv.encrypted, edit: open && mine, report: !mine && !conv.closed, unpreview: mine && Boolean(extras.previewOf(message)), delete: !conv.closed && (mine || moderates) };
  return Object.keys(may).filter((name) => may[name]);
}

function paintBar(conv) {
  const title = conv ? titleOf(conv) : "";
  $("thread-name").replaceChildren(...[title, botMark(conv?.peer)].filter(Boolean));
  const sub = conv ? subtitle(conv) : { text: "", live: false };
  if ($("thread-sub").textContent !== sub.text) $("thread-sub").textContent = sub.text;
  $("thread-sub").toggleAttribute("data-live", sub.live);
  if (conv) paintAvatar($("thread-avatar"), faceOf(conv), title, isOnline(conv), pictureOf(conv));
  const open = Boolean(conv) && !conv.closed;
  $("thread-search").hidden = !open || conv.encrypted;
  $("thread-info").hidden = !open;
  $("thread-who").disabled = !open;
  const label = conv?.type === "group" ? _("Group info") : _("Contact info");
  const asking = store.manages(conv) ? (state.requests[conv.id] ?? []).length : 0;
  $("thread-info").title = label;
  $("thread-info").setAttribute("aria-label", asking ? n("{label}, {count} waiting to join", "{label}, {count} waiting to join", asking, { label }) : label);
  $("asking").hidden = !asking;
  $("asking").textContent = String(asking);
}

/** Show what is pinned; most conversations have no pins, so the bar is loaded with the first. */
function paintPins(pins, able) {
  if (pinnedBar.show) pinnedBar.show(pins, able);
  // What cannot be had now is asked for with a later painting.
  else if (pins.length) load("pinned-bar").then(changed, () => {});
}

function paintThread() {
  const { active } = view;
  const conv = state.convs[active];
  $("welcome").hidden = Boolean(active);
  $("thread").hidden = !active;
  if (!active) return;
  paintBar(conv);
  if (conv && info.openFor === conv.id) info.show(infoOf(conv));
  const why = obstacle(conv);
  composer.hidden = Boolean(why);
  $("notice").hidden = !why;
  if (why) {
    $("notice-text").textContent = why.text;
    $("notice-act").hidden = !why.own;
  }
  const mayPin = conv && !why && (conv.type === "dm" || ["owner", "admin"].includes(conv.role));
  const pins = conv?.closed ? [] : store.pinsOf(state, active);
  paintPins(pins.map(({ message, by, ts }) => ({ server_id: message.server_id, ...excerpt({ ...message, conv: active }), ts, by: by === me.id ? null : nameOf(by) })), mayPin);
  const past = store.pastOf(state, active);
  const thread = past ?? store.threadOf(state, active);
  // Who answers has read: the line never stands above one's own message.
  const answered = thread.messages.findLast((one) => one.from === me.id)?.server_id;
  messages.show({
    conv: active,
    messages: store.shownOf(state, active),
    me: me.id,
    mayDo: (message) => mayDo(conv, message),
    group: conv?.type === "group",
    statusOf: (message) => store.statusOf(state, message),
    nameOf,
    userOf: (id) => state.users[id],
    textOf,
    quoteOf,
    mentionsOf,
    mediaOf,
    previewOf: extras.previewOf,
    isUnread: view.lineAfter === null ? null : (message) => Boolean(message.server_id) && store.isUnread(state, message, laterId(view.lineAfter, answered)),
    loading: !past && !thread.loaded,
    past: Boolean(past),
    complete: thread.complete || Boolean(conv?.closed),
    error: view.errors.get(active),
  });
  if (store.isLong(state, active)) dispatch({ type: "trim", conv: active, around: messages.reading });
}

/** What is on the screen of somebody who looks at it counts as read. */
export function seen() {
  if (view.active && document.visibilityState === "visible" && document.hasFocus() && messages.atBottom && !state.past) markRead();
}

/** The list was read anew: a line that was drawn from an older copy goes. */
export function listed() {
  if (dropLine()) messages.toBottom();
}

let badge = null;

/** Where the page is installed as an app, its icon says how much is unread. */
function paintBadge(unread) {
  if (unread === badge || !navigator.setAppBadge) return;
  badge = unread;
  navigator.setAppBadge(unread).catch(() => {});
}

export function paint() {
  paintList();
  paintThread();
  const unread = store.totalUnread(state, Date.now());
  const name = state.convs[view.active] ? titleOf(state.convs[view.active]) : _("Chat");
  document.title = unread ? `(${unread}) ${name}` : name;
  paintSlowness();
  paintBadge(unread);
  seen();
}

// --- notices ---------------------------------------------------------------------------------------

let bannerTimer = null;
let drains = false;
let slowTimer = null;

/** Say something above the list, and on a phone above the thread: one of the two is shown. `retry`: what trying again at once does; `in_s` is not read out. */
export function banner(text, { final = false, in_s = null, retry = null } = {}) {
  for (const node of [$("banner"), $("thread-banner")]) {
    const [said, rest, button] = node.children;
    node.hidden = !text;
    node.toggleAttribute("data-final", final);
    // A live region says again what is written again.
    if (said.textContent !== (text ?? "")) said.textContent = text ?? "";
    rest.textContent = in_s > 1 ? _("Next try in {seconds} s.", { seconds: in_s }) : "";
    button.hidden = !retry;
    button.onclick = retry;
  }
}

/** The server said that it is about to stop. */
export const draining = () => (drains = true);

/** Show the connection; a short break is not worth a word. */
export function paintConnection(change) {
  root.dataset.connection = change;
  if (change === "online") {
    clearInterval(bannerTimer);
    bannerTimer = null;
    drains = false;
    banner(null);
  } else if (!bannerTimer) {
    bannerTimer = setTimeout(() => {
      sayConnection();
      bannerTimer = setInterval(sayConnection, 1_000);
    }, BANNER_AFTER_MS);
  }
}

/** The browser has no network: said at once, also where the socket does not know yet. */
export function paintNetwork() {
  if (!navigator.onLine || root.dataset.connection !== "online") sayConnection();
  else paintConnection("online");
}

function sayConnection() {
  const left = Math.ceil((wire.retryAt - Date.now()) / 1_000);
  const waits = root.dataset.connection === "offline";
  if (!navigator.onLine) banner(_("You are offline: your messages will be sent."), { final: true });
  else banner(drains ? _("The server restarts: your messages will be sent.") : _("No connection: your messages will be sent."), { in_s: waits ? left : null, retry: waits && left > 1 ? () => wire.wake() : null });
}

/** Say when something that was asked for does not come for a while, though there is a connection. */
function paintSlowness() {
  const sends = view.active && store.threadOf(state, view.active).messages.some((one) => store.statusOf(state, one) === "sending");
  const waits = root.dataset.connection === "online" && navigator.onLine && (sends || view.loading.size > 0 || (!state.listLoaded && !view.listError));
  if (waits) slowTimer ??= setTimeout(() => root.dataset.connection === "online" && navigator.onLine && banner(_("The connection is slow. Nothing is lost.")), SLOW_MS);
  else if (slowTimer) {
    clearTimeout(slowTimer);
    slowTimer = null;
    if (root.dataset.connection === "online" && navigator.onLine && !$("banner").hasAttribute("data-final")) banner(null);
  }
}

export function toast(text) {
  const node = el("div", { className: "toast" }, text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}
