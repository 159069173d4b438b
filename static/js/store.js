/**
 * What the client knows, and how each event changes it. Pure: no DOM, no network, no clock.
 *
 * A thread is one unbroken window of a conversation, confirmed messages in the order of the log and
 * those still on their way behind them. Receipts are marks: everything up to the mark is covered.
 *
 * Messages and changes have one order, or, in a hot conversation, one in each of its chains. `marks` says up to where in
 * them nothing is missing here, `beyond` what has come from behind a gap, `recent` the last changes: a page that was read before them may come after them. `pending` are one's own
 * changes that are on their way: they are shown, and are not in the messages.
 *
 * `past` is a second window, of one conversation, around an old message that somebody went to. Nothing but changes of what
 * is in it comes to it by itself. Once it has grown up to the thread's own window the two are one. `aside` are messages of
 * the past that one has answered: the answers are shown without it.
 */
import { changeable, fold, newer, overlay, repin } from "./changes.js";
import { compareIds, covers, inMark, joinMarks, laterId } from "./ids.js";
import { ALL } from "./mentions.js";

const RECENT = 100;
const ASIDE = 20;
/** Of a conversation so many messages are held in one window; beyond, so many are left on each side of what is read. */
const MOST = 3_000;
const SIDE = 1_000;
/** What is left of the thread's own window when somebody reads far above it. */
const NEWEST = 200;

const emptyThread = () => ({ messages: [], loaded: false, complete: false });

export function initialState(me) {
  return { me, users: { [me.id]: me }, convs: {}, threads: {}, marks: {}, beyond: {}, recent: {}, pending: [], past: null, aside: [], receipts: {}, presence: {}, blocked: [], requests: {}, listLoaded: false };
}

export const threadOf = (state, conv) => state.threads[conv] ?? emptyThread();

/**
 * Newest message that came from the server, with what was before it. One's own that is acked and no more does not
 * count: what others wrote before it may still be missing.
 */
export function newestHeld(state, conv) {
  return threadOf(state, conv).messages.findLast((one) => one.server_id && !one.acked)?.server_id ?? null;
}

export const isUnread = (state, message, mark) =>
  message.kind !== "event" && message.from !== state.me.id && compareIds(message.server_id, mark) > 0;

/** Does a message mention the reader, by name or with everybody? */
export const mentionsMe = (state, message) => Boolean(message.mentions?.some((one) => one === state.me.id || one === ALL));

/** Conversations, pinned ones first, then by newest activity, without those that one is no longer in. */
export function sortedConversations(state) {
  const open = Object.values(state.convs).filter((conv) => !conv.closed).map((conv) => ({ conv, pinned: Number(conv.pinned ?? false), at: activityOf(state, conv) }));
  return open.sort((a, b) => b.pinned - a.pinned || b.at - a.at || (a.conv.id < b.conv.id ? -1 : 1)).map(({ conv }) => conv);
}

/** Return a message with one's own changes of it that are on their way. */
export function withPending(state, message) {
  const mine = message.server_id ? state.pending.filter((one) => one.target === message.server_id) : [];
  return mine.length ? overlay(message, mine, state.me.id) : message;
}

/** The window around an old message that is shown in place of a conversation's newest ones; null where these are. */
export const pastOf = (state, conv) => (state.past?.conv === conv ? state.past : null);

/** Return the messages of a thread as they are shown. */
export function shownOf(state, conv) {
  const { messages } = pastOf(state, conv) ?? threadOf(state, conv);
  const targets = state.pending.filter((one) => one.conv === conv).map((one) => indexOf(messages, one.target));
  return targets.reduce((shown, at) => (at < 0 ? shown : shown.with(at, withPending(state, messages[at]))), messages);
}

/** What is pinned in a conversation, the newest pin first: {message, by, ts}, with one's own pins that are on their way. */
export function pinsOf(state, conv) {
  const mine = state.pending.filter((one) => one.conv === conv && one.op === "pin");
  return mine.reduce((pins, one) => repin(pins, one, messageOf(state, conv, one.target), state.me.id), state.convs[conv]?.pins ?? []);
}

/** Return where in the order a confirmed message is, or would come; what is on its way stands behind. */
function placeOf(messages, serverId) {
  let high = messages.length;
  while (high > 0 && !messages[high - 1].server_id) high -= 1;
  let low = 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareIds(messages[middle].server_id, serverId) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return where a confirmed message is, or -1. */
function indexOf(messages, serverId) {
  const at = serverId ? placeOf(messages, serverId) : -1;
  return messages[at]?.server_id === serverId ? at : -1;
}

/** Return the confirmed message with an id from messages in their order. */
export const messageIn = (messages, serverId) => messages[indexOf(messages, serverId)];

const messageOf = (state, conv, serverId) => messageIn(threadOf(state, conv).messages, serverId);

/** What the list shows of a conversation: a message on its way counts. */
export function previewOf(state, conv) {
  const { messages } = threadOf(state, conv.id);
  const last = messages.at(-1);
  if (last && (!last.server_id || !conv.last_message || compareIds(last.server_id, conv.last_message.server_id) >= 0)) return withPending(state, last);
  return conv.last_message && withPending(state, conv.last_message);
}

function activityOf(state, conv) {
  return previewOf(state, conv)?.ts ?? (Date.parse(conv.created_at) || 0);
}

/** `now` in Unix milliseconds. */
export const isMuted = (conv, now) => Boolean(conv.muted_until) && Date.parse(conv.muted_until) > now;

/** Is a message over its time: older than what the server has dropped, or than the members' own timer? `now` in Unix ms. */
export const isExpired = (conv, message, now) =>
  Boolean(conv && message?.server_id) &&
  (compareIds(message.server_id, conv.expired_before) < 0 || Boolean(conv.timer_s && message.ts < now - conv.timer_s * 1000));

/** Unread messages of all conversations that are not muted or put away; one that is marked as unread counts as one. */
export const totalUnread = (state, now) =>
  Object.values(state.convs).reduce((sum, conv) => sum + (conv.closed || isMuted(conv, now) || conv.archived ? 0 : conv.unread_count || Number(conv.marked_unread ?? false)), 0);

/** May the reader let people into a conversation, and manage it? */
export const manages = (conv) => conv?.type === "group" && !conv.closed && ["owner", "admin"].includes(conv.role);

/** Has the reader blocked the other person of this conversation? */
export const isBlocked = (state, conv) => Boolean(conv.peer) && state.blocked.includes(conv.peer.id);

/** Is something missing before this message or change? Who holds nothing of a conversation misses nothing. */
export const hasGap = (state, row) =>
  Boolean(row.prev && state.marks[row.conv]) && !covers(state.marks[row.conv], row.prev);

/** Has anything come from behind a gap that is not closed? */
export const isBroken = (state, conv) => !covers(state.marks[conv], state.beyond[conv]);

/** `sending`, `failed`, `sent`, `delivered` or `read`. Two ticks mean: with everybody. */
export function statusOf(state, message) {
  if (message.status === "failed") return "failed";
  if (!message.server_id) return "sending";
  const conv = state.convs[message.conv];
  const others = (conv?.members ?? (conv?.peer ? [conv.peer] : [])).filter((one) => one.id !== state.me.id);
  if (!others.length) return "sent";
  const { read = {}, delivered = {} } = state.receipts[message.conv] ?? {};
  const covers = (mark) => Boolean(mark) && compareIds(mark, message.server_id) >= 0;
  if (others.every((one) => covers(read[one.id]))) return "read";
  if (others.every((one) => covers(delivered[one.id]) || covers(read[one.id]))) return "delivered";
  return "sent";
}

/** Who of the others has read a message of one's own, whom it has reached, and whom not yet: lists of members. */
export function receiptsOf(state, message) {
  const conv = state.convs[message.conv];
  const others = (conv?.members ?? (conv?.peer ? [conv.peer] : [])).filter((one) => one.id !== state.me.id);
  const { read = {}, delivered = {} } = state.receipts[message.conv] ?? {};
  const covers = (mark) => Boolean(mark) && compareIds(mark, message.server_id) >= 0;
  const of = { read: [], delivered: [], waiting: [] };
  for (const one of others) of[covers(read[one.id]) ? "read" : covers(delivered[one.id]) ? "delivered" : "waiting"].push(one);
  return of;
}

/**
 * Return messages with others among them, each in its place. It costs a copy and a search for each, and, where these have a
 * `msg_id`, one look at all: a window can be long.
 */
function merge(messages, others) {
  const next = [...messages];
  const wanted = new Set(others.map((one) => one.msg_id).filter(Boolean));
  const byMsgId = new Map(wanted.size ? next.filter((one) => wanted.has(one.msg_id)).map((one) => [one.msg_id, one]) : []);
  const take = (one) => one && next.splice(one.server_id ? indexOf(next, one.server_id) : next.indexOf(one), 1);
  for (const message of others) {
    // Two rows can turn out to be one message: an echo, and what a second ack says to be the same.
    const twin = message.msg_id && byMsgId.get(message.msg_id);
    const held = [messageIn(next, message.server_id), twin].filter((one, at, all) => one && all.indexOf(one) === at);
    // Frames leave out what is empty, such as the text of a message that is only a picture.
    const merged = Object.assign({ body: "" }, ...held, message);
    // A copy from before a change does not undo it.
    const newest = held.reduce((best, one) => (one.server_id ? newer(best, one) : best), message);
    if (newest !== message) Object.assign(merged, changeable(newest));
    held.forEach(take);
    next.splice(merged.server_id ? placeOf(next, merged.server_id) : next.length, 0, merged);
    if (merged.msg_id) byMsgId.set(merged.msg_id, merged);
  }
  return next;
}

const withThread = (state, conv, change) => ({
  ...state,
  threads: { ...state.threads, [conv]: { ...threadOf(state, conv), ...change } },
});
const withConv = (state, id, change) =>
  state.convs[id] ? { ...state, convs: { ...state.convs, [id]: { ...state.convs[id], ...change } } } : state;

/** Return a conversation's receipts with marks of one kind, by user. */
function joinReceipts(of = {}, kind, marks) {
  const joined = { ...of[kind] };
  for (const [user, mark] of Object.entries(marks)) joined[user] = laterId(joined[user], mark);
  return { ...of, [kind]: joined };
}

function withReceipt(state, conv, kind, user, serverId) {
  return { ...state, receipts: { ...state.receipts, [conv]: joinReceipts(state.receipts[conv], kind, { [user]: serverId }) } };
}

/** `asOf`: the mark of what it was read with. */
const confirmed = (message, asOf) => ({ ...message, status: "sent", acked: false, as_of: laterId(message.server_id, inMark(asOf, message.server_id)) });

/** Move a conversation's mark on; one's own changes up to there are in what is held. */
function reached(state, conv, mark) {
  if (covers(state.marks[conv], mark)) return state;
  const joined = joinMarks(state.marks[conv], mark);
  const pending = state.pending.filter((one) => one.conv !== conv || !one.server_id || !covers(joined, one.server_id));
  return { ...state, marks: { ...state.marks, [conv]: joined }, pending };
}

/** Begin anew with what was read: what has come meanwhile may lie beyond a gap that nobody could see. */
function beginsAt(state, conv, mark) {
  const before = state.marks[conv];
  if (!mark || covers(mark, before)) return reached(state, conv, mark);
  return { ...state, marks: { ...state.marks, [conv]: mark }, beyond: { ...state.beyond, [conv]: joinMarks(state.beyond[conv], before) } };
}

/** Make one window of the past and the thread's own where they have come to overlap. */
function joined(state) {
  const { past } = state;
  if (!past) return state;
  const thread = threadOf(state, past.conv);
  const oldest = thread.messages.find((one) => one.server_id)?.server_id;
  if (!thread.loaded || !oldest || compareIds(past.messages.at(-1)?.server_id, oldest) < 0) return state;
  const messages = merge(thread.messages, past.messages);
  return { ...withThread(state, past.conv, { messages, complete: past.complete || thread.complete }), past: null };
}

/** Put what was read with a mark into the window of the past. */
function intoPast(state, past, action) {
  const messages = merge(past.messages, action.results.map((one) => confirmed(one, action.mark)));
  return joined(caughtUp({ ...state, past: { ...past, messages, complete: past.complete || action.next === null } }, action.conv, action.mark));
}

/** Is more held of what is shown of a conversation than should be? */
export const isLong = (state, conv) => (pastOf(state, conv) ?? threadOf(state, conv)).messages.length > MOST;

/**
 * Let go of what is far from what is read: `around` is a message's id, or null for the newest. Who is far above the newest
 * reads in the window of the past from then on.
 */
function trim(state, conv, around) {
  if (!isLong(state, conv)) return state;
  const past = pastOf(state, conv);
  const { messages, complete } = past ?? threadOf(state, conv);
  const at = around ? placeOf(messages, around) : messages.length;
  const from = Math.max(0, at - SIDE);
  const near = { messages: messages.slice(from, at + SIDE), complete: complete && from === 0 };
  if (past) return { ...state, past: { ...past, ...near } };
  const newest = messages.length - NEWEST;
  if (at + SIDE >= newest) return withThread(state, conv, { ...near, messages: messages.slice(from) });
  return { ...withThread(state, conv, { messages: messages.slice(newest), complete: false }), past: { conv, ...near } };
}

/** Drop from a conversation what is over its time. */
function dropExpired(state, conv, now) {
  const { messages } = threadOf(state, conv.id);
  const kept = messages.filter((one) => !isExpired(conv, one, now));
  let next = kept.length === messages.length ? state : withThread(state, conv.id, { messages: kept });
  const past = pastOf(next, conv.id);
  if (past) next = { ...next, past: { ...past, messages: past.messages.filter((one) => !isExpired(conv, one, now)) } };
  if (next.aside.some((one) => one.conv === conv.id && isExpired(conv, one, now))) next = { ...next, aside: next.aside.filter((one) => one.conv !== conv.id || !isExpired(conv, one, now)) };
  const pins = conv.pins?.filter((one) => !isExpired(conv, one.message, now));
  if (pins && pins.length !== conv.pins.length) next = withConv(next, conv.id, { pins });
  return isExpired(conv, conv.last_message, now) ? withConv(next, conv.id, { last_message: null, unread_count: 0 }) : next;
}

/** Note a message or change that came by itself: it moves the mark, or lies beyond a gap. */
const came = (state, row) =>
  hasGap(state, row) ? { ...state, beyond: { ...state.beyond, [row.conv]: joinMarks(state.beyond[row.conv], row.server_id) } } : reached(state, row.conv, row.server_id);

/** Fold a change into its message, wherever that is held. */
function change(state, one) {
  const pending = state.pending.filter((mine) => mine.msg_id !== one.msg_id);
  let next = pending.length === state.pending.length ? state : { ...state, pending };
  if (!one.target) return next;
  const recent = (next.recent[one.conv] ?? []).filter((other) => other.server_id !== one.server_id);
  next = { ...next, recent: { ...next.recent, [one.conv]: [...recent, one].slice(-RECENT) } };
  const folded = (message) => (message.server_id === one.target ? fold(message, one, state.me.id) : message);
  const changed = (messages) => {
    const at = indexOf(messages, one.target);
    return at < 0 ? messages : messages.with(at, folded(messages[at]));
  };
  const { messages } = threadOf(next, one.conv);
  if (changed(messages) !== messages) next = withThread(next, one.conv, { messages: changed(messages) });
  const past = pastOf(next, one.conv);
  if (past) next = { ...next, past: { ...past, messages: changed(past.messages) } };
  if (next.aside.some((message) => message.server_id === one.target)) next = { ...next, aside: next.aside.map(folded) };
  const { last_message: last, pins } = next.convs[one.conv] ?? {};
  if (pins) next = withConv(next, one.conv, { pins: repin(pins, one, messageOf(next, one.conv, one.target), state.me.id) });
  return last?.server_id === one.target ? withConv(next, one.conv, { last_message: fold(last, one, state.me.id) }) : next;
}

/** Fold into what was read with a mark the changes that have come since it was read. */
const caughtUp = (state, conv, mark) => (state.recent[conv] ?? []).filter((one) => !covers(mark, one.server_id)).reduce(change, state);

function take(state, message) {
  const clean = { acked: false, ...message, status: "sent" };
  delete clean.op;
  const known = Boolean(messageOf(state, message.conv, message.server_id));
  let next = withThread(state, message.conv, { messages: merge(threadOf(state, message.conv).messages, [clean]) });
  const conv = next.convs[message.conv];
  if (!conv) return next;
  const newer = compareIds(message.server_id, conv.last_message?.server_id) > 0;
  const change = newer ? { last_message: clean } : {};
  // What is said brings back what was put away, unless it was to keep quiet.
  if (newer && conv.archived && !isMuted(conv, message.ts)) change.archived = false;
  // Without a loaded thread only what is newer than the last message is known to be new.
  if (!known && newer && isUnread(state, message, conv.last_read)) {
    change.unread_count = conv.unread_count + 1;
    change.mentioned = conv.mentioned || mentionsMe(state, message);
  }
  next = withConv(next, conv.id, change);
  if (message.from !== state.me.id) next = withReceipt(next, conv.id, "read", message.from, message.server_id);
  return next;
}

function readByMe(state, conv, serverId) {
  const it = state.convs[conv];
  if (!it || compareIds(serverId, it.last_read) <= 0) return state;
  const all = compareIds(serverId, it.last_message?.server_id) >= 0;
  const left = threadOf(state, conv).messages.filter((one) => one.server_id && isUnread(state, one, serverId));
  const mentioned = !all && left.some((one) => mentionsMe(state, one));
  return withConv(state, conv, { last_read: serverId, unread_count: all ? 0 : Math.min(it.unread_count, left.length), mentioned, marked_unread: false });
}

/** Return a conversation as it was read, but for what is known better here. */
function freshOf(held, conv) {
  const fresh = { ...conv };
  if (!held) return fresh;
  fresh.pins = conv.pins ?? held.pins;
  // The answer may have been made before what the socket has brought since.
  if (compareIds(held.last_message?.server_id, conv.last_message?.server_id) > 0) {
    fresh.last_message = held.last_message;
    fresh.unread_count = held.unread_count;
    fresh.mentioned = held.mentioned;
  }
  fresh.expired_before = laterId(held.expired_before, conv.expired_before);
  if (compareIds(held.last_read, conv.last_read) > 0) {
    fresh.last_read = held.last_read;
    fresh.unread_count = held.unread_count;
    fresh.mentioned = held.mentioned;
  }
  return fresh;
}

/** Take conversations up. There may be hundreds with dozens of members: what is copied is copied once for all of them. */
function putConversations(state, list) {
  const users = { ...state.users };
  const convs = { ...state.convs };
  const receipts = { ...state.receipts };
  for (const conv of list) {
    const people = [...(conv.members ?? []), ...(conv.peer ? [conv.peer] : [])];
    for (const one of people) users[one.id] = { ...users[one.id], id: one.id, username: one.username, display_name: one.display_name, is_bot: one.is_bot, picture: one.picture };
    convs[conv.id] = freshOf(convs[conv.id], conv);
    const read = people.filter((one) => one.last_read).map((one) => [one.id, one.last_read]);
    if (read.length) receipts[conv.id] = joinReceipts(receipts[conv.id], "read", Object.fromEntries(read));
  }
  return { ...state, users, convs, receipts };
}

/** Return the state after an action. Unknown conversations are left to the caller to fetch. */
export function reduce(state, action) {
  switch (action.type) {
    case "conversations":
      return { ...putConversations(state, action.results), listLoaded: true };
    case "conversation":
      return putConversations(state, [action.conversation]);
    case "conversation-gone": {
      const { [action.conv]: _conv, ...convs } = state.convs;
      const { [action.conv]: _thread, ...threads } = state.threads;
      const { [action.conv]: _mark, ...marks } = state.marks;
      const { [action.conv]: _beyond, ...beyond } = state.beyond;
      const { [action.conv]: _recent, ...recent } = state.recent;
      return { ...state, convs, threads, marks, beyond, recent, past: pastOf(state, action.conv) ? null : state.past, aside: state.aside.filter((one) => one.conv !== action.conv), pending: state.pending.filter((one) => one.conv !== action.conv) };
    }
    case "closed":
      // Still on the screen, to read: who removed one is worth more than a page that is suddenly gone.
      return withConv(state, action.conv, { closed: { by: action.by }, unread_count: 0, mentioned: false });
    case "shelved":
      return withConv(state, action.conv, action.change);
    case "requests":
      return { ...state, requests: { ...state.requests, [action.conv]: action.users } };
    case "pins":
      return withConv(state, action.conv, { pins: action.pins });
    case "blocks":
      return { ...state, blocked: action.users };
    case "users":
      return { ...state, users: { ...state.users, ...Object.fromEntries(action.users.map((one) => [one.id, one])) } };
    case "cached": {
      let next = putConversations(state, action.convs.filter((conv) => !state.convs[conv.id]));
      for (const [conv, messages] of Object.entries(action.messages)) {
        next = withThread(next, conv, { messages: merge(threadOf(next, conv).messages, messages), loaded: true });
      }
      const receipts = { ...next.receipts };
      for (const [conv, of] of Object.entries(action.receipts ?? {})) {
        for (const kind of ["delivered", "read"]) if (of[kind]) receipts[conv] = joinReceipts(receipts[conv], kind, of[kind]);
      }
      next = { ...next, receipts };
      for (const conv of new Set([...action.convs.map((one) => one.id), ...Object.keys(action.messages)])) {
        next = reached(next, conv, action.marks?.[conv] ?? action.messages[conv]?.filter((one) => !one.acked).map((one) => one.server_id).reduce(joinMarks, undefined));
      }
      return { ...next, listLoaded: state.listLoaded || action.convs.length > 0 };
    }
    case "queue": {
      const { messages } = threadOf(state, action.message.conv);
      return withThread(state, action.message.conv, { messages: merge(messages, [{ ...action.message, status: "sending" }]) });
    }
    case "ack": {
      const thread = state.threads[action.conv];
      const mine = thread?.messages.find((one) => one.msg_id === action.msg_id);
      // It came back as a message already: that id is the one in the history, and this may be the ack of a copy.
      if (mine?.server_id && !mine.acked) return state;
      const acked = !thread?.messages.some((one) => one.server_id === action.server_id && !one.acked);
      return mine ? take(state, { ...mine, server_id: action.server_id, ts: action.ts, error: undefined, acked }) : state;
    }
    case "failed":
    case "retry": {
      const { messages } = threadOf(state, action.conv);
      const change = action.type === "failed" ? { status: "failed", error: action.detail } : { status: "sending", error: undefined };
      return withThread(state, action.conv, {
        messages: messages.map((one) => (one.msg_id === action.msg_id && !one.server_id ? { ...one, ...change } : one)),
      });
    }
    case "discard": {
      const { messages } = threadOf(state, action.conv);
      return withThread(state, action.conv, { messages: messages.filter((one) => one.server_id || one.msg_id !== action.msg_id) });
    }
    case "msg":
      return take(came(state, action.message), action.message);
    case "change": {
      // What comes from behind a gap comes again, in its turn.
      const next = came(state, action.change);
      return hasGap(state, action.change) ? next : change(next, action.change);
    }
    case "change-queued":
      return { ...state, pending: [...state.pending.filter((one) => one.msg_id !== action.change.msg_id), action.change] };
    case "change-acked":
      return {
        ...state,
        pending: state.pending
          .map((one) => (one.msg_id === action.msg_id ? { ...one, server_id: action.server_id } : one))
          .filter((one) => !one.server_id || !covers(state.marks[one.conv], one.server_id)),
      };
    case "change-dropped":
      return { ...state, pending: state.pending.filter((one) => one.msg_id !== action.msg_id) };
    case "backfill": {
      let next = state;
      if (action.more && action.messages.length) {
        // The server left older ones out: what lies before them is another window, loaded on scrolling up.
        const first = action.messages[0].server_id;
        const { messages } = threadOf(state, action.conv);
        const kept = messages.filter((one) => !one.server_id || compareIds(one.server_id, first) >= 0);
        next = withThread(next, action.conv, { messages: kept, complete: false });
      }
      next = action.messages.reduce((so, one) => take(so, { ...one, as_of: laterId(one.server_id, inMark(action.mark, one.server_id)) }), next);
      if (action.expired_before) {
        next = withConv(next, action.conv, { expired_before: laterId(next.convs[action.conv]?.expired_before, action.expired_before) });
      }
      return reached((action.changes ?? []).reduce(change, next), action.conv, action.mark);
    }
    case "expire":
      return Object.values(state.convs).reduce((so, conv) => dropExpired(so, conv, action.now), state);
    case "history": {
      const thread = threadOf(state, action.conv);
      const messages = merge(thread.messages, action.results.map((one) => confirmed(one, action.mark)));
      const next = withThread(state, action.conv, { messages, loaded: true, complete: action.next === null ? true : thread.complete });
      return joined(caughtUp(next, action.conv, action.mark));
    }
    case "window": {
      // The newest page, put in place of a window with a hole in it.
      // What came over the socket while the page was on its way is newer than the page, and stays.
      const newest = action.results[0]?.server_id;
      const kept = threadOf(state, action.conv).messages.filter(
        (one) => !one.server_id || compareIds(one.server_id, newest) > 0,
      );
      const messages = merge(kept, action.results.map((one) => confirmed(one, action.mark)));
      const next = withThread(state, action.conv, { messages, loaded: true, complete: action.next === null });
      return joined(caughtUp(beginsAt(next, action.conv, action.mark), action.conv, action.mark));
    }
    case "past":
      // Around an old message, in place of any other such window.
      return intoPast(state, { conv: action.conv, messages: [], complete: false }, action);
    case "past-page": {
      const past = pastOf(state, action.conv);
      return past ? intoPast(state, past, action) : state;
    }
    case "trim":
      return trim(state, action.conv, action.around);
    case "present": {
      if (!state.past) return state;
      // `answered`: of the past, and to be shown where it is answered.
      const answered = state.past.messages.find((one) => one.server_id && one.server_id === action.answered);
      return { ...state, past: null, aside: answered ? [...state.aside, answered].slice(-ASIDE) : state.aside };
    }
    case "read":
      return action.user === state.me.id
        ? readByMe(state, action.conv, action.server_id)
        : withReceipt(state, action.conv, "read", action.user, action.server_id);
    case "delivered":
      return withReceipt(state, action.conv, "delivered", action.user, action.server_id);
    case "presence":
      return { ...state, presence: { ...state.presence, [action.user]: { state: action.state, last_seen: action.last_seen } } };
    default:
      return state;
  }
}
