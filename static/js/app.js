/** Ties the pieces together: socket and REST into the store, the store onto the page, the user's acts back out. */
import * as api from "./api.js";
import { Database } from "./db.js";
import { el, paintAvatar } from "./dom.js";
import { eventText, lastSeen, typingText } from "./format.js";
import { compareIds, laterId } from "./ids.js";
import * as store from "./store.js";
import { Wire } from "./wire.js";
import "./elements/conversation-list.js";
import "./elements/group-info.js";
import "./elements/message-composer.js";
import "./elements/message-list.js";
import "./elements/people-dialog.js";

const TYPING_SHOWN_MS = 5_000;
const BANNER_AFTER_MS = 1_200;
const SYNC_RECENT = 20;
const SAVE_AFTER_MS = 500;

const $ = (id) => document.getElementById(id);
const root = $("app");
const me = { id: root.dataset.user, username: root.dataset.username, display_name: root.dataset.displayName };
const list = document.querySelector("conversation-list");
const messages = document.querySelector("message-list");
const composer = document.querySelector("message-composer");
const people = document.querySelector("people-dialog");
const info = document.querySelector("group-info");

let state = store.initialState(me);
let database = null;
let active = null;
/** The read mark at the time of opening: where the line "New messages" is drawn. */
let lineAfter = null;
let limits = { max_sync_marks: 500, max_presence_users: 200, max_body_bytes: 65_536 };
let listError = null;
const typing = new Map();
const loading = new Set();
const threadErrors = new Map();
const repairing = new Set();
const asked = new Set();
const readSent = new Map();
/** Conversations one is no longer in; the message that says so still arrives. */
const left = new Set();
let watched = "";
let order = 0;

// --- names ---------------------------------------------------------------------------------------

function nameOf(id) {
  const known = state.users[id];
  if (!known && !asked.has(id)) {
    asked.add(id);
    api.user(id).then((user) => dispatch({ type: "users", users: [user] }), () => {});
  }
  return known?.display_name ?? "Someone";
}

const spoken = (id, start) => (id === me.id ? (start ? "You" : "you") : nameOf(id));

function titleOf(conv) {
  if (conv.type === "dm") return conv.peer?.display_name ?? "Deleted account";
  return conv.name || "Group";
}

/** Whose colour the avatar has: in a direct conversation it is the other person's everywhere. */
const faceOf = (conv) => conv.peer?.id ?? conv.id;

const textOf = (message) => (message.kind === "event" ? eventText(message, spoken) : message.body);

function typistsOf(conv) {
  const now = Date.now();
  return [...(typing.get(conv) ?? [])].filter(([, until]) => until > now).map(([user]) => user);
}

// --- state ---------------------------------------------------------------------------------------

let painting = false;

function dispatch(action) {
  state = store.reduce(state, action);
  if (!painting) {
    painting = true;
    // One painting a turn, however many frames came in; a hidden page gets no animation frames.
    queueMicrotask(() => {
      painting = false;
      render();
    });
  }
}

let saving = null;

function saveSoon() {
  if (database && !saving) saving = setTimeout(save, SAVE_AFTER_MS);
}

function save() {
  clearTimeout(saving);
  saving = null;
  database?.putConversations(Object.values(state.convs)).catch(() => {});
  database?.putReceipts(state.receipts).catch(() => {});
}

function keep(found) {
  if (found.length) database?.putMessages(found.map(({ op, ...message }) => ({ ...message, status: "sent" }))).catch(() => {});
  saveSoon();
}

// --- what comes over the socket --------------------------------------------------------------------

const wire = new Wire({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
  onFrame: receive,
  onState: connectionChanged,
  onFailed: (frame, error) => {
    database?.unqueue(frame.msg_id).catch(() => {});
    dispatch({ type: "failed", conv: frame.conv, msg_id: frame.msg_id, detail: error.detail });
  },
  onSignedOut: () => location.assign(`${root.dataset.loginUrl}?next=/`),
  onBroken: () => banner("This page no longer fits the server. Reload it.", true),
});

function receive(frame) {
  switch (frame.op) {
    case "ready":
      limits = frame.limits;
      composer.maxBytes = limits.max_body_bytes;
      watched = "";
      resume();
      break;
    case "ack": {
      const conv = Object.keys(state.threads).find((id) => state.threads[id].messages.some((one) => one.msg_id === frame.msg_id));
      database?.unqueue(frame.msg_id).catch(() => {});
      if (conv) dispatch({ ...frame, type: "ack", conv });
      break;
    }
    case "msg":
      take(frame);
      break;
    case "backfill":
      takeBackfill(frame);
      break;
    case "delivered":
    case "read":
      receipt(frame);
      break;
    case "typing": {
      const of = typing.get(frame.conv) ?? new Map();
      typing.set(frame.conv, of.set(frame.user, Date.now() + TYPING_SHOWN_MS));
      setTimeout(render, TYPING_SHOWN_MS + 50);
      render();
      break;
    }
    case "presence":
      dispatch({ type: "presence", user: frame.user, state: frame.state, last_seen: frame.last_seen });
      break;
    case "conv":
      if (frame.change === "removed") gone(frame.conv);
      else {
        left.delete(frame.conv);
        fetchConversation(frame.conv);
      }
      break;
    default:
      break;
  }
}

function take(frame) {
  if (left.has(frame.conv)) return;
  const gap = store.hasGap(state, frame);
  const mark = gap ? store.markBefore(state, frame) : null;
  dispatch({ type: "msg", message: frame });
  if (frame.msg_id) database?.unqueue(frame.msg_id).catch(() => {});
  if (frame.from !== me.id) {
    typing.get(frame.conv)?.delete(frame.from);
    wire.tell({ op: "delivered", server_id: frame.server_id });
  }
  if (!state.convs[frame.conv]) fetchConversation(frame.conv);
  if (gap) repair(frame.conv, mark);
  else keep([frame]);
}

function takeBackfill(frame) {
  repairing.delete(frame.conv);
  const more = frame.more === true;
  const write = async () => {
    if (more) await database?.dropMessages(frame.conv);
    keep(frame.messages);
  };
  write().catch(() => {});
  dispatch({ type: "backfill", conv: frame.conv, messages: frame.messages, more });
  // A receipt covers what came before it.
  const theirs = frame.messages.findLast((one) => one.from !== me.id);
  if (theirs) wire.tell({ op: "delivered", server_id: theirs.server_id });
  if (!state.convs[frame.conv]) fetchConversation(frame.conv);
}

/** A hole: ask for what came after the newest message before it. */
function repair(conv, mark) {
  if (repairing.has(conv)) return;
  repairing.add(conv);
  if (!mark || !wire.tell({ op: "sync", marks: { [conv]: mark } })) loadNewest(conv);
  // A repair that never answers does not stand in the way of the next.
  setTimeout(() => repairing.delete(conv), 5_000);
}

function receipt(frame) {
  const conv = Object.values(state.convs).find((one) => sameConversation(one, frame.server_id));
  if (conv) {
    dispatch({ type: frame.op, conv: conv.id, user: frame.user, server_id: frame.server_id });
    saveSoon();
  }
}

/** A message's id carries its conversation's: the first eight bytes. */
function sameConversation(conv, serverId) {
  const decode = (text) => atob(text.slice(2).replaceAll("-", "+").replaceAll("_", "/"));
  return decode(serverId).slice(0, 8) === decode(conv.id);
}

function resume() {
  sync(limits.max_sync_marks);
  // The list tells exact counts, and what other devices have read meanwhile.
  loadConversations();
  for (const conv of Object.keys(state.threads)) if (conv === active && !state.threads[conv].loaded) openThread(conv);
}

function sync(most) {
  const marks = {};
  for (const conv of store.sortedConversations(state).slice(0, most)) {
    const mark = store.newestHeld(state, conv.id) ?? conv.last_message?.server_id;
    if (mark) marks[conv.id] = mark;
  }
  wire.tell({ op: "sync", marks });
}

// --- connection ------------------------------------------------------------------------------------

let bannerTimer = null;

function banner(text, final = false) {
  const node = $("banner");
  node.hidden = !text;
  node.textContent = text ?? "";
  node.toggleAttribute("data-final", final);
  $("thread-banner").hidden = !text;
  $("thread-banner").textContent = text ?? "";
}

function connectionChanged(change) {
  if (change === "heartbeat") {
    sync(SYNC_RECENT);
    return;
  }
  root.dataset.connection = change;
  if (change === "online") {
    clearTimeout(bannerTimer);
    bannerTimer = null;
    banner(null);
  } else if (!bannerTimer) {
    bannerTimer = setTimeout(() => banner("Connecting… your messages will be sent."), BANNER_AFTER_MS);
  }
}

window.addEventListener("online", () => wire.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    wire.wake();
    markRead();
  }
});
window.addEventListener("focus", () => markRead());

// --- REST --------------------------------------------------------------------------------------------

async function loadConversations() {
  try {
    let cursor = null;
    let pages = 0;
    do {
      const page = await api.conversations(cursor);
      listError = null;
      dispatch({ type: "conversations", results: page.results });
      dropLine();
      cursor = page.next;
      pages += 1;
    } while (cursor && pages < 5);
    saveSoon();
    watchPresence();
  } catch (error) {
    if (error.status === 401 || error.status === 403) location.assign(`${root.dataset.loginUrl}?next=/`);
    listError = error.message;
    render();
  }
}

/** What was kept here may be older than the last reading: where nothing is unread, no line is drawn. */
function dropLine() {
  if (lineAfter === null || readSent.has(active) || state.convs[active]?.unread_count !== 0) return;
  lineAfter = null;
  messages.toBottom();
}

async function fetchConversation(id) {
  try {
    dispatch({ type: "conversation", conversation: await api.conversation(id) });
    saveSoon();
    watchPresence();
  } catch (error) {
    if (error.status === 404) gone(id);
  }
}

function gone(id) {
  left.add(id);
  if (!state.convs[id] && !state.threads[id]) return;
  dispatch({ type: "conversation-gone", conv: id });
  database?.dropMessages(id).catch(() => {});
  saveSoon();
  if (active === id) {
    info.close();
    location.hash = "";
    toast("You are no longer in this conversation.");
  }
}

async function loadNewest(conv) {
  loading.add(conv);
  threadErrors.delete(conv);
  render();
  try {
    const page = await api.history(conv);
    loading.delete(conv);
    const held = store.threadOf(state, conv);
    // Where the page does not reach what is held there may be a hole: the page takes its place.
    const joins = held.loaded && page.results.some((one) => held.messages.some((other) => other.server_id === one.server_id));
    if (!joins) await database?.dropMessages(conv);
    dispatch({ type: joins ? "history" : "window", conv, results: page.results, next: page.next });
    keep(page.results);
    repairing.delete(conv);
    const broken = store.threadOf(state, conv).messages.find((one) => one.server_id && store.hasGap(state, { ...one, conv }));
    if (broken) repair(conv, store.markBefore(state, broken));
  } catch (error) {
    threadErrors.set(conv, error.message);
  } finally {
    loading.delete(conv);
    render();
  }
}

async function loadOlder() {
  const conv = active;
  const thread = store.threadOf(state, conv);
  const oldest = thread.messages.find((one) => one.server_id);
  if (!conv || !oldest || thread.complete || loading.has(conv)) return;
  loading.add(conv);
  try {
    const page = await api.history(conv, oldest.server_id);
    dispatch({ type: "history", conv, results: page.results, next: page.next });
  } catch {
    // Scrolling again asks again.
  } finally {
    loading.delete(conv);
  }
}

function watchPresence() {
  const users = new Set();
  const current = state.convs[active];
  for (const one of current?.members ?? []) users.add(one.id);
  for (const conv of store.sortedConversations(state)) if (conv.peer) users.add(conv.peer.id);
  users.delete(me.id);
  const wanted = [...users].slice(0, limits.max_presence_users);
  const signature = wanted.join();
  if (signature !== watched && wire.tell({ op: "presence", users: wanted })) watched = signature;
}

// --- acts ------------------------------------------------------------------------------------------

async function send(body) {
  order += 1;
  const message = { msg_id: crypto.randomUUID(), conv: active, from: me.id, ts: Date.now(), order, body, media: [], kind: "text" };
  lineAfter = null;
  dispatch({ type: "queue", message });
  // Into the outbox before onto the wire: a tab that dies in between still sends it.
  await database?.queue(message).catch(() => {});
  wire.deliver(message);
}

async function retry(msgId) {
  const found = store.threadOf(state, active).messages.find((one) => one.msg_id === msgId);
  if (!found) return;
  dispatch({ type: "retry", conv: found.conv, msg_id: msgId });
  await database?.queue({ ...found, status: "sending" }).catch(() => {});
  wire.deliver(found);
}

function markRead() {
  const conv = state.convs[active];
  if (!conv || document.visibilityState !== "visible" || !document.hasFocus() || !messages.atBottom) return;
  const newest = store.threadOf(state, active).messages.findLast((one) => one.server_id)?.server_id;
  if (!newest || compareIds(newest, conv.last_read) <= 0 || readSent.get(active) === newest) return;
  const theirs = store.threadOf(state, active).messages.findLast((one) => one.server_id && one.from !== me.id);
  if (!theirs || compareIds(theirs.server_id, conv.last_read) <= 0) return;
  if (wire.tell({ op: "read", server_id: newest })) {
    readSent.set(active, newest);
    dispatch({ type: "read", conv: active, user: me.id, server_id: newest });
    // At once: a page that comes back must not call unread what was read.
    save();
  }
}

function toast(text) {
  const node = el("div", { className: "toast" }, text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), 5_000);
}

async function startConversation(body) {
  const conversation = await api.createConversation(body);
  dispatch({ type: "conversation", conversation });
  saveSoon();
  location.hash = conversation.id;
}

const newChat = () => people.open("chat", { exclude: [me.id], finish: ({ users }) => startConversation({ type: "dm", members: users }) });
const newGroup = () =>
  people.open("group", { exclude: [me.id], finish: ({ users, name }) => startConversation({ type: "group", members: users, name }) });

function openInfo() {
  const conv = state.convs[active];
  if (conv?.type !== "group") return;
  const again = async () => {
    await fetchConversation(conv.id);
    if (state.convs[conv.id]) info.show(state.convs[conv.id], me.id);
  };
  info.open(conv, me.id, {
    rename: async (name) => {
      await api.rename(conv.id, name);
      await again();
    },
    add: () => {
      people.open("add", {
        exclude: (state.convs[conv.id].members ?? []).map((one) => one.id),
        finish: async ({ users }) => {
          await api.addMembers(conv.id, users);
          await again();
        },
      });
    },
    remove: async (user) => {
      await api.removeMember(conv.id, user);
      await again();
    },
    leave: async () => {
      await api.removeMember(conv.id, me.id);
      info.close();
      gone(conv.id);
    },
  });
}

// --- page ------------------------------------------------------------------------------------------

function openThread(conv) {
  const thread = store.threadOf(state, conv);
  if (!thread.loaded || store.newestHeld(state, conv) !== state.convs[conv]?.last_message?.server_id) loadNewest(conv);
  watchPresence();
}

function route() {
  const id = location.hash.slice(1) || null;
  if (id === active) return;
  active = id;
  root.dataset.view = id ? "thread" : "list";
  if (id) {
    const conv = state.convs[id];
    lineAfter = conv?.unread_count ? (conv.last_read ?? "") : null;
    composer.open(id);
    if (!conv && state.listLoaded) fetchConversation(id).then(() => state.convs[id] || (location.hash = ""));
    openThread(id);
    if (matchMedia("(width >= 700px) and (hover: hover)").matches) composer.focus();
  }
  render();
}

function item(conv) {
  const last = store.previewOf(state, conv);
  const typists = typistsOf(conv.id);
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
    active: conv.id === active,
    typing: typists.length ? (conv.type === "dm" ? "typing…" : typingText(typists.map(nameOf))) : null,
  };
}

function renderList() {
  if (!state.listLoaded && !listError) return;
  const wanted = $("search").value.trim().toLocaleLowerCase();
  const matches = (conv) =>
    !wanted ||
    titleOf(conv).toLocaleLowerCase().includes(wanted) ||
    (conv.peer?.username ?? "").includes(wanted) ||
    (store.previewOf(state, conv)?.body ?? "").toLocaleLowerCase().includes(wanted);
  const found = store.sortedConversations(state).filter(matches).map(item);
  let empty;
  if (wanted) empty = el("div", { className: "list-empty" }, el("strong", {}, "Nothing found"), `No conversation matches “${$("search").value.trim()}”.`);
  else if (listError && !found.length) {
    const again = el("button", { className: "button", type: "button", onclick: loadConversations }, "Try again");
    empty = el("div", { className: "list-empty", role: "alert" }, el("strong", {}, "Could not load your conversations"), listError, el("div", {}, again));
  } else {
    const start = el("button", { className: "button", type: "button", onclick: newChat }, "Start a chat");
    empty = el("div", { className: "list-empty" }, el("strong", {}, "No conversations yet"), "Find somebody by name and say hello.", el("div", {}, start));
  }
  list.show(found, empty);
}

function subtitle(conv) {
  const typists = typistsOf(conv.id);
  if (typists.length) return { text: conv.type === "dm" ? "typing…" : typingText(typists.map(nameOf)), live: true };
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

function renderThread() {
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
    isUnread: (message) => lineAfter !== null && Boolean(message.server_id) && store.isUnread(state, message, laterId(lineAfter, answered)),
    loading: !thread.loaded,
    complete: thread.complete,
    error: threadErrors.get(active),
  });
}

function render() {
  renderList();
  renderThread();
  const unread = store.totalUnread(state);
  const name = state.convs[active] ? titleOf(state.convs[active]) : "Chat";
  document.title = unread ? `(${unread}) ${name}` : name;
  markRead();
}

// --- wiring ------------------------------------------------------------------------------------------

composer.addEventListener("compose", (event) => send(event.detail.body));
composer.addEventListener("typing", () => wire.tell({ op: "typing", conv: active }));
messages.addEventListener("older", loadOlder);
messages.addEventListener("seen", markRead);
messages.addEventListener("reload", () => loadNewest(active));
messages.addEventListener("retry", (event) => retry(event.detail.msg_id));
messages.addEventListener("discard", (event) => {
  database?.unqueue(event.detail.msg_id).catch(() => {});
  dispatch({ type: "discard", conv: active, msg_id: event.detail.msg_id });
});
$("new-chat").addEventListener("click", newChat);
$("welcome-new").addEventListener("click", newChat);
$("new-group").addEventListener("click", newGroup);
$("thread-info").addEventListener("click", openInfo);
$("thread-who").addEventListener("click", openInfo);
$("back").addEventListener("click", () => {
  location.hash = "";
});
$("search").addEventListener("input", renderList);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") {
    event.preventDefault();
    list.focusFirst();
  } else if (event.key === "Enter") {
    list.querySelector(".conversation")?.click();
  }
});
window.addEventListener("hashchange", route);
document.addEventListener("click", (event) => {
  if (!$("menu").contains(event.target)) $("menu").open = false;
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (root.dataset.view === "thread" && matchMedia("(width < 700px)").matches) location.hash = "";
    $("search").focus();
    $("search").select();
  } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if ($("menu").open) $("menu").open = false;
    else if ($("search").value) {
      $("search").value = "";
      renderList();
    } else if (active) location.hash = "";
  }
});
$("sign-out").addEventListener("submit", async (event) => {
  event.preventDefault();
  wire.stop();
  await database?.destroy().catch(() => {});
  event.target.submit();
});

async function start() {
  paintAvatar($("my-avatar"), me.id, me.display_name);
  if (/Mac|iPhone|iPad/u.test(navigator.platform)) document.querySelectorAll("kbd").forEach((key) => (key.textContent = key.textContent.replace("Ctrl ", "⌘")));
  try {
    database = await Database.open(me.id);
    dispatch({ type: "cached", ...(await database.snapshot()) });
    for (const message of await database.outbox()) {
      dispatch({ type: "queue", message });
      wire.deliver(message);
    }
  } catch {
    toast("This browser keeps nothing between visits: unsent messages are lost on reload.");
  }
  route();
  render();
  wire.connect();
  loadConversations();
}

start();
