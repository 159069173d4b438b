/** Keeps the state in step with the server: frames of the socket and answers of REST go into the store. */
import * as api from "./api.js";
import { refusal } from "./i18n.js";
import { covers } from "./ids.js";
import { changed, database, dispatch, dropKept, keep, me, restored, saveSoon, state, view } from "./model.js";
import { startedTyping, stoppedTyping, titleOf } from "./names.js";
import * as store from "./store.js";
import { late, LatePollSocket, Wire } from "./wire.js";

const SYNC_RECENT = 20;
const MAX_LIST_PAGES = 5;
const PAGE = 50;
const MAX_PAGE = 200;
/** Messages on each side of one that somebody goes to. */
const AROUND = 40;
const REPAIR_MS = 5_000;
const EXPIRE_MS = 60_000;

/**
 * What is for the page to show: `ready` (limits), `connection` (state), `draining`, `unkept` (there is no room for the outbox), `signed-out`, `suspended`, `broken`, `listed` (the
 * list was read), `waiting` (something was written without a connection), `draft`, `scheduled` and `previews` (conv: these have changed there), `came` (somebody else's message has), `mine` (one of one's own has), `gone` (conv, title, by: one is no longer in it; by whose act, where that is known), `refused` (op, detail: one's
 * own change of a message is not to be).
 */
export const events = new EventTarget();
const tell = (name, detail) => events.dispatchEvent(new CustomEvent(name, { detail }));

let limits = { max_sync_marks: 500, max_presence_users: 200 };
const repairing = new Set();
/** Conversation -> the mark after which something is missing that was asked for last. */
const missed = new Map();
/** Conversations one is no longer in; the message that says so still arrives. */
const left = new Set();
let watched = "";
/** Whether what was refused as too fast is about to be asked for again. */
let asking = false;

/** Send what pages that are gone have left unsent. */
export const takeUnsent = () => import("./unsent.js").then(({ take }) => take()).catch(() => {});

/**
 * One connection for all tabs, of each kind; a tab whose browser cannot share has its own. Before there is one the page knows
 * what is unsent, so that nothing written later goes out earlier.
 */
const shared = (kind, Real) =>
  late(async () => {
    const [tabs] = await Promise.all([navigator.locks && import("./tabs.js").catch(() => {}), takeUnsent()]);
    return tabs ? tabs.sharing(`${kind}-${me.id}`, Real) : Real;
  });
// Here by the time there is a connection to make.
for (const one of ["./tabs.js", "./unsent.js"]) import(one).catch(() => {});

export const wire = new Wire({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
  user: me.id,
  onFrame: receive,
  onState: (change) => {
    if (change === "heartbeat") sync(SYNC_RECENT);
    else tell("connection", change);
  },
  onFailed: (frame, error) => {
    if (frame.op !== "send") {
      refused(frame.msg_id, error);
      return;
    }
    const found = store.threadOf(state, frame.conv).messages.find((one) => one.msg_id === frame.msg_id);
    // It stays in the outbox: a reload must not lose what its author can still send or take back.
    const detail = api.sentence(refusal(error));
    if (found) database?.queue({ ...found, status: "failed", error: detail }).catch(() => {});
    dispatch({ type: "failed", conv: frame.conv, msg_id: frame.msg_id, detail });
  },
  onSignedOut: () => tell("signed-out"),
  onSuspended: () => tell("suspended"),
  onBroken: () => tell("broken"),
  env: { WebSocket: shared("socket", WebSocket), PollSocket: shared("poll", LatePollSocket) },
});

// --- what comes over the socket --------------------------------------------------------------------

function receive(frame) {
  switch (frame.op) {
    case "ready":
      limits = frame.limits;
      watched = "";
      tell("ready", limits);
      resume();
      break;
    case "ack": {
      if (state.pending.some((one) => one.msg_id === frame.msg_id)) {
        database?.unqueue(frame.msg_id).catch(() => {});
        dispatch({ type: "change-acked", msg_id: frame.msg_id, server_id: frame.server_id });
        break;
      }
      const conv = Object.keys(state.threads).find((id) => state.threads[id].messages.some((one) => one.msg_id === frame.msg_id));
      database?.unqueue(frame.msg_id).catch(() => {});
      if (conv) dispatch({ ...frame, type: "ack", conv });
      break;
    }
    case "msg":
      take(frame);
      break;
    case "edit":
    case "delete":
    case "react":
    case "pin":
    case "takedown":
    case "restore":
    case "link":
      takeChange(frame);
      break;
    case "error":
      // One that was acked, and at its place in the log was not allowed.
      if (frame.msg_id) refused(frame.msg_id, frame);
      else if (frame.code === "rate_limited") askAgain(frame.retry_after ?? 1);
      break;
    case "backfill":
      takeBackfill(frame);
      break;
    case "moved":
      moved(frame);
      break;
    case "delivered":
    case "read":
      receipt(frame);
      break;
    case "typing":
      startedTyping(frame.conv, frame.user);
      break;
    case "presence":
      dispatch({ type: "presence", user: frame.user, state: frame.state, last_seen: frame.last_seen });
      break;
    case "drain":
      tell("draining");
      break;
    case "resync":
      sync(limits.max_sync_marks);
      break;
    case "conv":
      if (frame.change === "removed") gone(frame.conv, frame.by);
      else if (frame.change === "requests") loadRequests(frame.conv);
      else if (["draft", "scheduled", "previews"].includes(frame.change)) tell(frame.change, { conv: frame.conv });
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
  if (left.has(frame.conv) && !state.convs[frame.conv]?.closed) return;
  const gap = store.hasGap(state, frame);
  dispatch({ type: "msg", message: frame });
  if (frame.msg_id) {
    database?.unqueue(frame.msg_id).catch(() => {});
    tell("mine", frame);
  }
  if (frame.from !== me.id) {
    tell("came", frame);
    stoppedTyping(frame.conv, frame.from);
    // In a large group not all at once. Without a wait at once, also in a page whose timers are held back.
    const tellDelivered = () => wire.tell({ op: "delivered", server_id: frame.server_id });
    if (frame.spread_ms) setTimeout(tellDelivered, Math.random() * frame.spread_ms);
    else tellDelivered();
  }
  if (!state.convs[frame.conv]) fetchConversation(frame.conv);
  // Of what nobody looks at not everything is held either.
  if (frame.conv !== view.active && store.isLong(state, frame.conv)) dispatch({ type: "trim", conv: frame.conv, around: null });
  if (gap) repair(frame.conv);
  else keep([frame]);
}

function takeChange(frame) {
  if (left.has(frame.conv)) return;
  const gap = store.hasGap(state, frame);
  if (frame.op === "edit") stoppedTyping(frame.conv, frame.from);
  dispatch({ type: "change", change: frame });
  if (frame.msg_id) database?.unqueue(frame.msg_id).catch(() => {});
  if (gap) repair(frame.conv);
  else keepHeld(frame.conv, [frame.target]);
  // What it pins may not be held here.
  if (frame.op === "pin" && frame.conv === view.active) loadPins(frame.conv);
}

/** Keep messages as changes have left them. */
function keepHeld(conv, targets) {
  const wanted = new Set(targets);
  keep(store.threadOf(state, conv).messages.filter((one) => one.server_id && !one.acked && wanted.has(one.server_id)));
}

/** One's own change is not to be: what was shown of it goes, and its author is told why. */
function refused(msgId, error) {
  const change = state.pending.find((one) => one.msg_id === msgId);
  if (!change) return;
  database?.unqueue(msgId).catch(() => {});
  dispatch({ type: "change-dropped", msg_id: msgId });
  // What is deleted already is what was wanted.
  if (change.op !== "delete" || error.code !== "conflict") tell("refused", { op: change.op, detail: api.sentence(refusal(error)) });
}

function takeBackfill(frame) {
  repairing.delete(frame.conv);
  const more = frame.more === true;
  const { messages = [], changes = [] } = frame;
  const outdated = frame.stale === true && store.threadOf(state, frame.conv).loaded;
  // Where what is held has to be read again the mark stays: should the reading fail, the next sync begins there.
  const mark = outdated ? undefined : frame.mark;
  dispatch({ type: "backfill", conv: frame.conv, messages, changes, mark, more, expired_before: frame.expired_before });
  if (frame.expired_before) expire();
  const touched = [...messages.map((one) => one.server_id), ...changes.map((one) => one.target)];
  const write = async () => {
    if (more || frame.stale) await dropKept(frame.conv);
    keepHeld(frame.conv, touched);
  };
  write();
  if (frame.conv === view.active && (frame.stale || changes.some((one) => one.op === "pin"))) loadPins(frame.conv);
  // A receipt covers what came before it.
  const theirs = messages.findLast((one) => one.from !== me.id);
  if (theirs) wire.tell({ op: "delivered", server_id: theirs.server_id });
  if (!state.convs[frame.conv]) fetchConversation(frame.conv);
  // More was changed than fits.
  if (outdated) loadNewest(frame.conv, { anew: true });
  else mend(frame.conv);
}

/** Another tab was told what came after its mark (tabs.js): what is missing here of that, this one asks for itself. */
function moved({ conv, mark }) {
  if (covers(state.marks[conv] ?? state.convs[conv]?.last_message?.server_id, mark)) return;
  if (state.marks[conv]) repair(conv);
  else fetchConversation(conv);
}

/** Ask for what is missing in a window, once; what does not come then is asked for with a later heartbeat. */
function mend(conv) {
  const mark = store.isBroken(state, conv) ? state.marks[conv] : undefined;
  if (mark && missed.get(conv) !== mark) repair(conv);
  missed.set(conv, mark);
}

/** A hole: ask for what came after the mark. */
function repair(conv) {
  if (repairing.has(conv)) return;
  repairing.add(conv);
  const mark = state.marks[conv];
  if (!mark || !wire.tell({ op: "sync", marks: { [conv]: mark } })) loadNewest(conv);
  // A repair that never answers does not stand in the way of the next.
  setTimeout(() => repairing.delete(conv), REPAIR_MS);
}

/** A `sync` or a subscription was one too many: both again in a while, once for all of them. */
function askAgain(seconds) {
  if (asking) return;
  asking = true;
  setTimeout(() => {
    asking = false;
    watched = "";
    sync(limits.max_sync_marks);
    watchPresence();
  }, Math.max(200, seconds * 1000));
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
  // Ten letters are seven and a half of them, and tell nearly all apart.
  if (serverId.slice(2, 12) !== conv.id.slice(2, 12)) return false;
  const decode = (text) => atob(text.slice(2).replaceAll("-", "+").replaceAll("_", "/"));
  return decode(serverId).slice(0, 8) === decode(conv.id);
}

function resume() {
  sync(limits.max_sync_marks);
  // The list tells exact counts, and what other devices have read meanwhile.
  loadConversations();
  loadBlocks();
  if (view.active && !store.threadOf(state, view.active).loaded) openThread(view.active);
  else if (view.active) loadPins(view.active);
}

function sync(most) {
  const marks = {};
  for (const conv of store.sortedConversations(state).slice(0, most)) {
    const mark = state.marks[conv.id] ?? conv.last_message?.server_id;
    if (mark) marks[conv.id] = mark;
  }
  wire.tell({ op: "sync", marks });
}

/** Watch the people of the open conversation and those of the list. */
function watchPresence() {
  const users = new Set();
  for (const one of state.convs[view.active]?.members ?? []) users.add(one.id);
  for (const conv of store.sortedConversations(state)) if (conv.peer) users.add(conv.peer.id);
  users.delete(me.id);
  const wanted = [...users].slice(0, limits.max_presence_users);
  const signature = wanted.join();
  if (signature !== watched && wire.tell({ op: "presence", users: wanted })) watched = signature;
}

/** Drop what is over its time, here and in what is kept. */
function expire() {
  const now = Date.now();
  dispatch({ type: "expire", now });
  for (const conv of Object.values(state.convs)) {
    if (conv.expired_before || conv.timer_s) database?.dropWhere(conv.id, (one) => store.isExpired(conv, one, now)).catch(() => {});
  }
}
setInterval(expire, EXPIRE_MS);

// --- what is read over REST ------------------------------------------------------------------------

export async function loadConversations() {
  try {
    const before = Object.keys(state.convs);
    const listed = new Set();
    let cursor = null;
    let pages = 0;
    do {
      const page = await api.conversations(cursor);
      view.listError = null;
      for (const conv of page.results) listed.add(conv.id);
      dispatch({ type: "conversations", results: page.results });
      tell("listed");
      cursor = page.next;
      pages += 1;
    } while (cursor && pages < MAX_LIST_PAGES);
    // Those on top are wanted also where the list is longer than what is read of it.
    if (cursor) {
      const { results } = await api.pinnedConversations();
      for (const conv of results) listed.add(conv.id);
      dispatch({ type: "conversations", results });
    }
    // What is kept here and not on the list was perhaps lost while nobody listened: ask for each.
    if (!cursor) for (const id of before) if (!listed.has(id) && !state.convs[id]?.closed) fetchConversation(id);
    expire();
    saveSoon();
    watchPresence();
  } catch (error) {
    if (error.code === "suspended") tell("suspended");
    else if (error.status === 401 || error.status === 403) tell("signed-out");
    view.listError = error.message;
    changed();
  }
}

export async function fetchConversation(id) {
  try {
    dispatch({ type: "conversation", conversation: await api.conversation(id) });
    expire();
    saveSoon();
    watchPresence();
  } catch (error) {
    if (error.status === 404) gone(id);
  }
}

/** A conversation is no longer one's own, by whose act where it is known. One that is open can be read until it is left. */
export function gone(id, by) {
  left.add(id);
  const conv = state.convs[id];
  if (!conv && !state.threads[id]) return;
  if (conv && id === view.active && by !== me.id) dispatch({ type: "closed", conv: id, by });
  else dispatch({ type: "conversation-gone", conv: id });
  dropKept(id);
  saveSoon();
  if (conv) tell("gone", { conv: id, title: titleOf(conv), by });
}

export async function loadBlocks() {
  try {
    const { results } = await api.blocks();
    dispatch({ type: "blocks", users: results.map((one) => one.id) });
  } catch {
    // The server refuses what is blocked all the same; the next connection asks again.
  }
}

/** Have the newest messages of a conversation, and its people's presence. The promise is kept when the messages are there. */
export async function openThread(conv) {
  loadPins(conv);
  loadRequests(conv);
  watchPresence();
  if (!store.threadOf(state, conv).loaded) await restored();
  const thread = store.threadOf(state, conv);
  const behind = !thread.loaded || store.newestHeld(state, conv) !== state.convs[conv]?.last_message?.server_id;
  if (behind) await loadNewest(conv);
}

/** Read who asks to be let into a group that one manages. Best effort: the next opening asks again. */
export async function loadRequests(conv) {
  if (!store.manages(state.convs[conv])) return;
  try {
    const { results } = await api.joinRequests(conv);
    dispatch({ type: "requests", conv, users: results });
  } catch {
    // What is known of them stays.
  }
}

/** Conversation -> how often its pins were asked for: only the newest answer counts. */
const pinReads = new Map();

/** Read what is pinned in a conversation. Best effort: the next opening asks again. */
async function loadPins(conv) {
  const turn = (pinReads.get(conv) ?? 0) + 1;
  pinReads.set(conv, turn);
  try {
    const { results } = await api.pins(conv);
    if (pinReads.get(conv) !== turn) return;
    dispatch({ type: "pins", conv, pins: results });
    saveSoon();
  } catch {
    // What is known of them stays.
  }
}

/** Conversation -> the reading of its newest messages that is under way. */
const newestReads = new Map();

/** `anew`: what is held may have changed unseen. */
export function loadNewest(conv, how) {
  const reading = readNewest(conv, how).finally(() => newestReads.get(conv) === reading && newestReads.delete(conv));
  newestReads.set(conv, reading);
  return reading;
}

async function readNewest(conv, { anew = false } = {}) {
  view.loading.add(conv);
  view.errors.delete(conv);
  changed();
  try {
    // As many as are unread, so that reading can begin at the first of them; the server counts to a hundred.
    const unread = state.convs[conv]?.unread_count ?? 0;
    const page = await api.history(conv, { limit: unread < 100 ? PAGE + unread : MAX_PAGE });
    view.loading.delete(conv);
    const held = store.threadOf(state, conv);
    // Where the page does not reach what is held there may be a hole, and what is older may have changed unseen: then the
    // page takes its place.
    const joins =
      !anew &&
      held.loaded &&
      covers(state.marks[conv], page.mark) &&
      page.results.some((one) => held.messages.some((other) => other.server_id === one.server_id));
    if (!joins) await dropKept(conv);
    dispatch({ type: joins ? "history" : "window", conv, results: page.results, next: page.next, mark: page.mark });
    keepHeld(conv, page.results.map((one) => one.server_id));
    repairing.delete(conv);
    mend(conv);
  } catch (error) {
    if (error.status === 404) gone(conv);
    else view.errors.set(conv, error.message);
  } finally {
    view.loading.delete(conv);
    changed();
  }
}

/** Conversation -> the reading of what is older that is under way: whoever asks meanwhile waits for the same. */
const olderReads = new Map();

export function loadOlder(conv) {
  if (!olderReads.has(conv)) olderReads.set(conv, readOlder(conv).finally(() => olderReads.delete(conv)));
  return olderReads.get(conv);
}

async function readOlder(conv) {
  const past = store.pastOf(state, conv);
  const thread = past ?? store.threadOf(state, conv);
  const oldest = thread.messages.find((one) => one.server_id);
  if (!conv || !oldest || thread.complete || view.loading.has(conv)) return;
  view.loading.add(conv);
  try {
    const page = await api.history(conv, { before: oldest.server_id });
    view.errors.delete(conv);
    dispatch({ type: past ? "past-page" : "history", conv, results: page.results, next: page.next, mark: page.mark });
  } catch (error) {
    view.errors.set(conv, error.message);
    changed();
  } finally {
    view.loading.delete(conv);
  }
}

/** Show a conversation around one of its messages, however old it is. Throws an ApiError: 404 where there is no such message. */
export async function loadAround(conv, serverId) {
  const message = await api.message(serverId);
  const [older, newer] = await Promise.all([
    api.history(conv, { before: serverId, limit: AROUND }),
    api.history(conv, { after: serverId, limit: AROUND }),
  ]);
  if (view.active !== conv) return;
  // What was read first knows of the fewest changes; those that came since are folded in once more, which changes nothing.
  dispatch({ type: "past", conv, results: [message, ...older.results, ...newer.results], next: older.next, mark: leastOf(older.mark, newer.mark) });
}

const leastOf = (a, b) => (covers(a, b) ? b : a);

/** Have what comes after the window around an old message. */
export async function loadNewer(conv) {
  const newest = store.pastOf(state, conv)?.messages.at(-1)?.server_id;
  const key = `newer than ${conv}`;
  if (!newest || view.loading.has(key)) return;
  view.loading.add(key);
  try {
    const page = await api.history(conv, { after: newest });
    // Nothing newer, and the thread's own window not reached: that one is still to be loaded.
    if (page.results.length) dispatch({ type: "past-page", conv, results: page.results, mark: page.mark });
    else if (store.pastOf(state, conv)) dispatch({ type: "present" });
  } catch {
    // Scrolling on asks again.
  } finally {
    view.loading.delete(key);
  }
}
