/** What the user does: write, read, begin conversations. */
import * as api from "./api.js";
import { compareIds } from "./ids.js";
import { database, dispatch, me, save, saveSoon, state, view } from "./model.js";
import { mentionsOfText } from "./names.js";
import * as store from "./store.js";
import { events, fetchConversation, wire } from "./sync.js";

let order = 0;
let full = false;
/** The browser has no room for what is to be sent: its author is told, once. */
function unkept() {
  if (!full) events.dispatchEvent(new CustomEvent("unkept"));
  full = true;
}

const readSent = new Map();

export async function send(body, reply_to = null, media = []) {
  view.lineAfter = null;
  await post({ conv: view.active, body, reply_to, media, mentions: mentionsOfText(state.convs[view.active], body) });
}

async function post(fields) {
  order += 1;
  const message = { msg_id: crypto.randomUUID(), from: me.id, ts: Date.now(), order, media: [], reply_to: null, kind: "text", ...fields };
  dispatch({ type: "queue", message });
  // Into the outbox before onto the wire: a tab that dies in between still sends it.
  await database?.queue(message).catch(unkept);
  wire.deliver(message);
  // Who writes does not want to wait for the next try.
  if (!wire.ready) waits();
}

/** What was written cannot go out now. */
function waits() {
  wire.wake();
  events.dispatchEvent(new Event("waiting"));
}

/** Say in another conversation what a message says. */
export const forward = (message, conv) => post({ conv, body: message.body, media: message.media ?? [], forwarded: true, forwarded_from: message.server_id });

/** Change a message: `op` is `edit` (body), `delete` or `react` (emoji, on). It shows at once, and goes out until it is acked. */
export async function change(op, message, said = {}) {
  order += 1;
  const one = { op, msg_id: crypto.randomUUID(), conv: message.conv, target: message.server_id, ts: Date.now(), order, ...said };
  dispatch({ type: "change-queued", change: one });
  await database?.queue(one).catch(() => {});
  wire.deliver(one);
  if (!wire.ready) wire.wake();
}

export async function retry(msgId) {
  const found = store.threadOf(state, view.active).messages.find((one) => one.msg_id === msgId);
  if (!found) return;
  dispatch({ type: "retry", conv: found.conv, msg_id: msgId });
  await database?.queue({ ...found, status: "sending" }).catch(() => {});
  wire.deliver(found);
  if (!wire.ready) waits();
}

export function discard(msgId) {
  database?.unqueue(msgId).catch(() => {});
  dispatch({ type: "discard", conv: view.active, msg_id: msgId });
}

/** Note that the newest message of the open conversation was seen, and tell the server once. */
export function markRead() {
  const conv = state.convs[view.active];
  if (!conv) return;
  const { messages } = store.threadOf(state, conv.id);
  const newest = messages.findLast((one) => one.server_id)?.server_id;
  if (!newest || compareIds(newest, conv.last_read) <= 0 || readSent.get(conv.id) === newest) return;
  const theirs = messages.findLast((one) => one.server_id && one.from !== me.id);
  if (!theirs || compareIds(theirs.server_id, conv.last_read) <= 0) return;
  if (wire.tell({ op: "read", server_id: newest })) {
    readSent.set(conv.id, newest);
    dispatch({ type: "read", conv: conv.id, user: me.id, server_id: newest });
    // At once: a page that comes back must not call unread what was read.
    save();
  }
}

/** Read a conversation up to its newest message without opening it. Throws an ApiError. */
export async function markAllRead(conv) {
  const newest = conv.last_message?.server_id;
  if (conv.marked_unread) await shelve(conv.id, { marked_unread: false });
  if (!newest || compareIds(newest, conv.last_read) <= 0) return;
  await api.read(conv.id, newest);
  dispatch({ type: "read", conv: conv.id, user: me.id, server_id: newest });
  saveSoon();
}

/** What was kept here may be older than the last reading: where nothing is unread, no line is drawn. */
export function dropLine() {
  if (view.lineAfter === null || readSent.has(view.active) || state.convs[view.active]?.unread_count !== 0) return false;
  view.lineAfter = null;
  return true;
}

/** Begin a conversation, or find the direct one that exists; then open it. */
export async function startConversation(body) {
  const conversation = await api.createConversation(body);
  dispatch({ type: "conversation", conversation });
  // At once: what one has begun is there after a reload, also without a connection.
  save();
  location.hash = conversation.id;
}

/** Let nobody of the pair write to the other, or undo it. Throws an ApiError. */
export async function setBlocked(user, on) {
  await (on ? api.block(user) : api.unblock(user));
  dispatch({ type: "blocks", users: on ? [...state.blocked, user] : state.blocked.filter((one) => one !== user) });
}

/** Put a conversation away, on top, or mark it as unread; it shows at once. Throws an ApiError. */
export async function shelve(id, change) {
  dispatch({ type: "shelved", conv: id, change });
  try {
    dispatch({ type: "conversation", conversation: await api.shelve(id, change) });
    saveSoon();
  } catch (error) {
    fetchConversation(id);
    throw error;
  }
}
