import assert from "node:assert/strict";
import { test } from "node:test";
import { chainOf, compareIds, joinMarks } from "../../static/js/ids.js";
import * as store from "../../static/js/store.js";

const ME = { id: "u_me", username: "me", display_name: "Me" };
const mid = (n) => {
  const raw = Buffer.alloc(16);
  raw.writeBigUInt64BE(7n, 0);
  raw.writeBigUInt64BE(BigInt(n), 8);
  return `m_${raw.toString("base64url")}`;
};
const msg = (n, more = {}) => ({ server_id: mid(n), conv: "c_1", from: "u_bob", ts: n, body: `text ${n}`, kind: "text", prev: n > 1 ? mid(n - 1) : null, ...more });
const BOB = { id: "u_bob", username: "bob", display_name: "Bob", role: "member", last_read: null };
const conv = (more = {}) => ({
  id: "c_1", type: "dm", name: null, members: [{ ...ME, role: "member" }, BOB], peer: BOB, members_count: 2, role: "member",
  last_message: null, last_read: null, unread_count: 0, created_at: "2026-01-01T00:00:00Z", ...more,
});
const run = (state, ...actions) => actions.reduce(store.reduce, state);
const begin = (...actions) => run(store.initialState(ME), { type: "conversations", results: [conv()] }, ...actions);
const held = (state) => store.threadOf(state, "c_1").messages.map((one) => one.body);

test("ids order as numbers, whatever their letters", () => {
  const numbers = [1, 9, 10, 255, 256, 65_535, 2 ** 40, Number.MAX_SAFE_INTEGER];
  const ids = numbers.map(mid);
  assert.deepEqual([...ids].reverse().sort(compareIds), ids);
  assert.ok(compareIds(null, ids[0]) < 0);
});

test("messages stand in the order of the log, each once, however they arrive", () => {
  const state = begin(...[3, 1, 2, 3, 1].map((n) => ({ type: "msg", message: msg(n) })));
  assert.deepEqual(held(state), ["text 1", "text 2", "text 3"]);
});

test("a message that is only a picture has an empty text, which frames leave out", () => {
  const { body, ...picture } = msg(1, { media: ["f_1"] });
  assert.deepEqual(held(begin({ type: "msg", message: picture })), [""]);
});

test("a message on its way stands last, takes the ack's place, and is not doubled by its echo", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" };
  let state = begin({ type: "queue", message: mine }, { type: "msg", message: msg(5) });
  assert.deepEqual(held(state), ["text 5", "mine"]);
  assert.equal(store.statusOf(state, store.threadOf(state, "c_1").messages[1]), "sending");
  state = run(state, { type: "ack", conv: "c_1", msg_id: "x", server_id: mid(4), ts: 4 });
  assert.deepEqual(held(state), ["mine", "text 5"]);
  state = run(state, { type: "msg", message: msg(4, { from: ME.id, msg_id: "x", body: "mine" }) });
  assert.deepEqual(held(state), ["mine", "text 5"]);
});

test("the last ack counts: a later one moves the message", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" };
  const state = begin(
    { type: "queue", message: mine },
    { type: "ack", conv: "c_1", msg_id: "x", server_id: mid(9), ts: 9 },
    { type: "msg", message: msg(4, { from: ME.id, body: "mine" }) },
    { type: "ack", conv: "c_1", msg_id: "x", server_id: mid(4), ts: 4 },
  );
  assert.deepEqual(held(state), ["mine"]);
  assert.equal(store.newestHeld(state, "c_1"), mid(4));
});

test("ticks: sent, delivered, read; a mark covers all before it", () => {
  let state = begin(...[1, 2].map((n) => ({ type: "msg", message: msg(n, { from: ME.id, msg_id: `x${n}` }) })));
  const status = () => store.threadOf(state, "c_1").messages.map((one) => store.statusOf(state, one));
  assert.deepEqual(status(), ["sent", "sent"]);
  state = run(state, { type: "delivered", conv: "c_1", user: "u_bob", server_id: mid(2) });
  assert.deepEqual(status(), ["delivered", "delivered"]);
  state = run(state, { type: "read", conv: "c_1", user: "u_bob", server_id: mid(1) });
  assert.deepEqual(status(), ["read", "delivered"]);
  state = run(state, { type: "delivered", conv: "c_1", user: "u_bob", server_id: mid(1) });
  assert.deepEqual(status(), ["read", "delivered"]);
});

test("a mention is told until it is read, and not where it is in what was read", () => {
  const mentioned = (state) => Boolean(state.convs.c_1.mentioned);
  let state = begin({ type: "msg", message: msg(1) });
  assert.equal(mentioned(state), false);
  state = run(state, { type: "msg", message: msg(2, { mentions: ["u_bob", ME.id] }) }, { type: "msg", message: msg(3) });
  assert.equal(mentioned(state), true);
  assert.equal(mentioned(run(state, { type: "read", conv: "c_1", user: ME.id, server_id: mid(1) })), true);
  assert.equal(mentioned(run(state, { type: "read", conv: "c_1", user: ME.id, server_id: mid(2) })), false);
  assert.equal(mentioned(begin({ type: "msg", message: msg(2, { mentions: ["all"] }) })), true);
  assert.equal(mentioned(begin({ type: "msg", message: msg(2, { from: ME.id, mentions: ["all"] }) })), false);
});

test("unread counts others' texts once and is cleared by a reading on any device", () => {
  let state = begin(
    { type: "msg", message: msg(1) },
    { type: "msg", message: msg(1) },
    { type: "msg", message: msg(2, { from: ME.id }) },
    { type: "msg", message: msg(3, { kind: "event" }) },
    { type: "msg", message: msg(4) },
  );
  assert.equal(store.totalUnread(state, 0), 2);
  state = run(state, { type: "read", conv: "c_1", user: ME.id, server_id: mid(1) });
  assert.equal(store.totalUnread(state, 0), 1);
  state = run(state, { type: "read", conv: "c_1", user: ME.id, server_id: mid(4) });
  assert.equal(store.totalUnread(state, 0), 0);
});

const window = (results, more = {}) => ({ type: "window", conv: "c_1", results, next: null, mark: results[0].server_id, ...more });
const changed = (n, op, target, more = {}) => ({ op, server_id: mid(n), target: mid(target), conv: "c_1", from: "u_bob", ts: n, prev: mid(n - 1), ...more });
const first = (state) => store.shownOf(state, "c_1")[0];

test("a gap is seen through prev and healed by a backfill", () => {
  let state = begin(window([msg(2), msg(1)]));
  assert.equal(store.hasGap(state, msg(3)), false);
  assert.equal(store.hasGap(state, msg(6)), true);
  state = run(state, { type: "msg", message: msg(6) });
  assert.deepEqual([state.marks.c_1, store.isBroken(state, "c_1")], [mid(2), true]);
  state = run(state, { type: "backfill", conv: "c_1", messages: [2, 3, 4, 5, 6].map((n) => msg(n)), mark: mid(6), more: false });
  assert.equal(held(state).length, 6);
  assert.deepEqual([store.hasGap(state, msg(7)), store.isBroken(state, "c_1")], [false, false]);
});

/** The id of what was written at a moment to a chain of a hot conversation, and such a message. */
const at = (moment, chain) => mid(moment * 2 ** 22 + chain * 2 ** 17);
const hot = (moment, chain, prev, more = {}) => msg(0, { server_id: at(moment, chain), prev: prev && at(prev, chain), body: `${chain}: ${moment}`, ...more });

test("a mark names each chain, and moves in each", () => {
  assert.deepEqual([chainOf(mid(1)), chainOf(at(9, 1)), chainOf(at(9, 31))], [0, 1, 31]);
  const mark = joinMarks(joinMarks(at(7, 5), at(3, 0)), at(4, 1));
  assert.equal(mark, [at(3, 0), at(4, 1), at(7, 5)].join());
  assert.equal(joinMarks(mark, [at(2, 0), at(4, 1)].join()), mark);
  assert.equal(joinMarks(at(1, 0), at(2, 0)), at(2, 0));
});

test("what one chain has newer does not hide what is missing in another", () => {
  const moved = (...messages) => messages.map((message) => ({ type: "msg", message }));
  let state = begin(window([hot(2, 0, 1), hot(1, 0, null)]), ...moved(hot(9, 3, null), hot(4, 5, null), hot(10, 3, 9)));
  assert.deepEqual([state.marks.c_1, store.isBroken(state, "c_1")], [[at(2, 0), at(10, 3), at(4, 5)].join(), false]);
  assert.deepEqual(held(state), ["0: 1", "0: 2", "5: 4", "3: 9", "3: 10"]);
  // Older than much that is held, and before it something is missing.
  assert.equal(store.hasGap(state, hot(7, 5, 6)), true);
  // Of this chain nothing is held, and this is not its first.
  assert.equal(store.hasGap(state, hot(8, 6, 5)), true);
  state = run(state, ...moved(hot(7, 5, 6)));
  assert.deepEqual([state.marks.c_1, store.isBroken(state, "c_1")], [[at(2, 0), at(10, 3), at(4, 5)].join(), true]);
  const mark = [at(2, 0), at(10, 3), at(7, 5)].join();
  state = run(state, { type: "backfill", conv: "c_1", messages: [hot(6, 5, 4), hot(7, 5, 6)], mark, more: false });
  assert.deepEqual([state.marks.c_1, store.isBroken(state, "c_1")], [mark, false]);
});

test("a change from a chain that is behind is no older than what was read", () => {
  const mark = [at(9, 0), at(3, 5)].join();
  let state = begin(window([hot(9, 0, 1), hot(2, 5, null)], { mark }));
  const edit = { op: "edit", target: at(2, 5), conv: "c_1", from: "u_bob", ts: 4, server_id: at(4, 5), prev: at(3, 5), body: "better" };
  state = run(state, { type: "change", change: edit });
  assert.deepEqual(held(state), ["better", "0: 9"]);
  // A page from before it does not undo it.
  state = run(state, { type: "history", conv: "c_1", results: [hot(2, 5, null)], mark });
  assert.deepEqual(held(state), ["better", "0: 9"]);
});

test("changes are links of the chain: they move the mark, and one that is missing is a gap", () => {
  let state = begin(window([msg(2), msg(1)]), { type: "change", change: changed(3, "edit", 1, { body: "better" }) });
  assert.deepEqual([state.marks.c_1, first(state).body], [mid(3), "better"]);
  assert.equal(store.hasGap(state, msg(4)), false);
  state = run(state, { type: "change", change: { op: "link", server_id: mid(4), conv: "c_1", prev: mid(3) } });
  assert.equal(state.marks.c_1, mid(4));
  // One from behind a gap has to wait: what is between may be older changes of the same message.
  state = run(state, { type: "change", change: changed(9, "edit", 1, { body: "newest" }) });
  assert.deepEqual([first(state).body, store.isBroken(state, "c_1")], ["better", true]);
  const missed = [changed(8, "react", 1, { emoji: "👍", on: true, count: 2 }), changed(9, "edit", 1, { body: "newest" })];
  state = run(state, { type: "backfill", conv: "c_1", messages: [], changes: missed, mark: mid(9) });
  assert.deepEqual([first(state).body, first(state).reactions[0].count, store.isBroken(state, "c_1")], ["newest", 2, false]);
});

test("a page from before a change does not undo it, and one from after it is not changed again", () => {
  const edit = { type: "change", change: changed(3, "edit", 1, { body: "better" }) };
  let state = begin(window([msg(2), msg(1)]), edit, { type: "history", conv: "c_1", results: [msg(2), msg(1)], mark: mid(2) });
  assert.equal(first(state).body, "better");
  state = begin(window([msg(2), msg(1, { body: "best", edited_at: 4 })], { mark: mid(4) }), edit);
  assert.deepEqual([first(state).body, state.marks.c_1], ["best", mid(4)]);
});

test("a page that was read before a change and comes after it is changed as well", () => {
  const late = [
    { type: "change", change: changed(3, "edit", 1, { body: "better" }) },
    { type: "history", conv: "c_1", results: [msg(1)], next: null, mark: mid(2) },
  ];
  assert.equal(first(begin(window([msg(2)]), ...late)).body, "better");
  const anew = begin(window([msg(2), msg(1)]), late[0], window([msg(2), msg(1)]));
  assert.equal(first(anew).body, "better");
});

test("what came while the first page was read may lie beyond a gap", () => {
  // Nothing was held, so nothing told that 3 is missing before 4.
  const state = begin({ type: "msg", message: msg(4) }, window([msg(2), msg(1)]));
  assert.deepEqual([held(state), state.marks.c_1, store.isBroken(state, "c_1")], [["text 1", "text 2", "text 4"], mid(2), true]);
  const healed = run(state, { type: "backfill", conv: "c_1", messages: [2, 3, 4].map((n) => msg(n)), mark: mid(4) });
  assert.deepEqual([held(healed).length, store.isBroken(healed, "c_1")], [4, false]);
});

test("the last message of the list is changed as well", () => {
  const state = begin({ type: "msg", message: msg(1) }, { type: "change", change: changed(2, "delete", 1) });
  assert.deepEqual([state.convs.c_1.last_message.deleted, state.convs.c_1.last_message.body, state.convs.c_1.unread_count], [true, "", 1]);
});

test("one's own change shows at once, until its echo, its refusal, or a mark beyond it", () => {
  const mine = { op: "edit", msg_id: "x", conv: "c_1", target: mid(1), body: "better", ts: 5 };
  const begun = begin(window([msg(2), msg(1)]), { type: "change-queued", change: mine });
  assert.deepEqual([first(begun).body, first(begun).changing, held(begun)[0]], ["better", true, "text 1"]);
  assert.equal(first(run(begun, { type: "change-dropped", msg_id: "x" })).body, "text 1");
  let state = run(begun, { type: "change-acked", msg_id: "x", server_id: mid(3) });
  assert.equal(first(state).changing, true);
  const echo = { type: "change", change: changed(3, "edit", 1, { body: "better", from: ME.id, msg_id: "x" }) };
  assert.deepEqual([run(state, echo).pending, first(run(state, echo)).body], [[], "better"]);
  state = run(state, { type: "backfill", conv: "c_1", messages: [], changes: [echo.change], mark: mid(3) });
  assert.deepEqual([state.pending, first(state).body, first(state).changing], [[], "better", undefined]);
  // The echo may be quicker than the ack.
  state = run(begun, { type: "change", change: { ...echo.change, msg_id: undefined } }, { type: "change-acked", msg_id: "x", server_id: mid(3) });
  assert.deepEqual(state.pending, []);
});

test("one's own message that is only acked is no mark: what others wrote before it may be missing", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" };
  let state = begin({ type: "msg", message: msg(2) }, { type: "queue", message: mine }, { type: "ack", conv: "c_1", msg_id: "x", server_id: mid(9), ts: 9 });
  assert.equal(store.newestHeld(state, "c_1"), mid(2));
  state = run(state, { type: "msg", message: msg(9, { from: ME.id, msg_id: "x", body: "mine" }) });
  assert.equal(store.newestHeld(state, "c_1"), mid(9));
});

test("the ack of a copy does not move a message that came back before it; until then the last ack counts", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" };
  const ack = (n) => ({ type: "ack", conv: "c_1", msg_id: "x", server_id: mid(n), ts: n });
  const shown = (state) => store.threadOf(state, "c_1").messages.map((one) => one.server_id);
  let state = begin({ type: "queue", message: mine }, ack(5), ack(3));
  assert.deepEqual(shown(state), [mid(3)]);
  state = run(state, { type: "msg", message: msg(3, { from: ME.id, msg_id: "x", body: "mine" }) }, ack(5));
  assert.deepEqual(shown(state), [mid(3)]);
});

test("a backfill that leaves some out begins a new window: no hole is ever shown", () => {
  const state = begin(
    { type: "history", conv: "c_1", results: [msg(2), msg(1)], next: null },
    { type: "backfill", conv: "c_1", messages: [msg(10), msg(11)], more: true },
  );
  assert.deepEqual(held(state), ["text 10", "text 11"]);
  assert.equal(store.threadOf(state, "c_1").complete, false);
});

test("a first page that was made before a message came does not take the message back", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" };
  const state = begin(
    { type: "queue", message: mine },
    { type: "ack", conv: "c_1", msg_id: "x", server_id: mid(3), ts: 3 },
    { type: "msg", message: msg(4) },
    { type: "window", conv: "c_1", results: [msg(2), msg(1)], next: null },
  );
  assert.deepEqual(held(state), ["text 1", "text 2", "mine", "text 4"]);
});

test("an answer made before what the socket brought does not take it back", () => {
  const state = begin({ type: "msg", message: msg(2) }, { type: "conversations", results: [conv({ last_message: msg(1), unread_count: 1 })] });
  assert.equal(state.convs.c_1.last_message.server_id, mid(2));
});

test("a failed message is kept, tried again, or thrown away", () => {
  let state = begin({ type: "queue", message: { msg_id: "x", conv: "c_1", from: ME.id, ts: 1, body: "mine", kind: "text" } });
  const only = () => store.threadOf(state, "c_1").messages[0];
  state = run(state, { type: "failed", conv: "c_1", msg_id: "x", detail: "blocked" });
  assert.equal(store.statusOf(state, only()), "failed");
  state = run(state, { type: "retry", conv: "c_1", msg_id: "x" });
  assert.equal(store.statusOf(state, only()), "sending");
  state = run(state, { type: "discard", conv: "c_1", msg_id: "x" });
  assert.equal(only(), undefined);
});

test("a conversation one was removed from is off the list and the count, and can still be read", () => {
  let state = begin({ type: "msg", message: msg(1) });
  assert.equal(store.totalUnread(state, 0), 1);
  state = run(state, { type: "closed", conv: "c_1", by: "u_bob" });
  assert.deepEqual(store.sortedConversations(state), []);
  assert.equal(store.totalUnread(state, 0), 0);
  assert.deepEqual(held(state), ["text 1"]);
  assert.equal(state.convs.c_1.closed.by, "u_bob");
  // Added again, it is like any other.
  state = run(state, { type: "conversation", conversation: conv() });
  assert.equal(store.sortedConversations(state).length, 1);
});

test("what is muted does not count, until the moment is past", () => {
  const state = begin({ type: "conversation", conversation: conv({ unread_count: 3, muted_until: "2026-01-01T00:00:00Z" }) });
  const end = Date.parse("2026-01-01T00:00:00Z");
  assert.equal(store.totalUnread(state, end - 1), 0);
  assert.equal(store.totalUnread(state, end), 3);
});

test("a block concerns the conversation with that person", () => {
  const state = begin({ type: "blocks", users: ["u_bob"] });
  assert.equal(store.isBlocked(state, state.convs.c_1), true);
  assert.equal(store.isBlocked(run(state, { type: "blocks", users: [] }), state.convs.c_1), false);
});

test("what the server has dropped goes: from the thread and the list, also where it is told with a backfill", () => {
  const said = [1, 2, 3].map((n) => ({ type: "msg", message: msg(n) }));
  let state = begin(...said, { type: "conversations", results: [conv({ expired_before: mid(3), last_message: msg(2) })] }, { type: "expire", now: 9 });
  assert.deepEqual(held(state), ["text 3"]);
  state = run(state, { type: "backfill", conv: "c_1", messages: [msg(5)], mark: mid(5), expired_before: mid(4) }, { type: "expire", now: 9 });
  assert.deepEqual(held(state), ["text 5"]);
  // An answer that was on its way does not turn it back.
  state = run(state, { type: "conversations", results: [conv({ expired_before: mid(2) })] });
  assert.equal(state.convs.c_1.expired_before, mid(4));
  assert.equal(state.marks.c_1, mid(5));
});

test("the members' timer runs here as well, and what is on its way stays", () => {
  const mine = { msg_id: "x", conv: "c_1", from: ME.id, ts: 0, body: "mine", kind: "text" };
  const state = begin(
    { type: "conversation", conversation: conv({ timer_s: 10, last_message: msg(5_000) }) },
    ...[5_000, 20_000].map((n) => ({ type: "msg", message: msg(n, { prev: null }) })),
    { type: "queue", message: mine },
    { type: "expire", now: 20_000 },
  );
  assert.deepEqual(held(state), ["text 20000", "mine"]);
  assert.equal(store.previewOf(state, state.convs.c_1).body, "mine");
});

test("a gap that reaches back behind what was dropped is closed by the backfill's mark", () => {
  let state = begin({ type: "msg", message: msg(1) }, { type: "msg", message: msg(9, { prev: mid(8) }) });
  assert.ok(store.isBroken(state, "c_1"));
  state = run(state, { type: "backfill", conv: "c_1", messages: [msg(9, { prev: mid(8) })], mark: mid(9), expired_before: mid(9) });
  assert.ok(!store.isBroken(state, "c_1"));
});

// --- an old message, in a window of its own ---------------------------------------------------------

const page = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => msg(to - at));
const shown = (state) => store.shownOf(state, "c_1").map((one) => one.ts);
const newest = { type: "history", conv: "c_1", results: page(90, 100), next: "older", mark: mid(100) };
const around = { type: "past", conv: "c_1", results: page(30, 50), next: "older", mark: mid(100) };

test("the past is shown in place of the thread, which goes on behind it", () => {
  let state = begin(newest, around);
  assert.deepEqual([shown(state)[0], shown(state).at(-1), shown(state).length], [30, 50, 21]);
  state = run(state, { type: "msg", message: msg(101) });
  assert.equal(shown(state).at(-1), 50);
  assert.equal(state.marks.c_1, mid(101));
  state = run(state, { type: "present" });
  assert.deepEqual([shown(state)[0], shown(state).at(-1)], [90, 101]);
});

test("the past grows at both ends, and becomes one with the thread where they meet", () => {
  let state = begin(newest, around, { type: "past-page", conv: "c_1", results: page(1, 29), next: null, mark: mid(100) });
  assert.ok(store.pastOf(state, "c_1").complete);
  state = run(state, { type: "past-page", conv: "c_1", results: page(51, 89), mark: mid(100) });
  assert.deepEqual([shown(state)[0], shown(state).at(-1)], [1, 89], "one is missing between");
  state = run(state, { type: "past-page", conv: "c_1", results: page(90, 95), mark: mid(100) });
  assert.equal(state.past, null);
  assert.deepEqual(shown(state), Array.from({ length: 100 }, (_, at) => at + 1));
  assert.ok(store.threadOf(state, "c_1").complete);
});

test("an old message that is in the thread's window needs no other", () => {
  const state = begin(newest, { ...around, results: page(80, 95) });
  assert.equal(state.past, null);
  assert.deepEqual([shown(state)[0], shown(state).at(-1)], [80, 100]);
});

test("the thread that is loaded after the past joins it", () => {
  const state = begin({ ...around, results: page(80, 95) }, { ...newest, type: "window" });
  assert.deepEqual([state.past, shown(state)[0], shown(state).at(-1)], [null, 80, 100]);
});

test("changes reach the past, also those that came before its page", () => {
  const edit = (n, target) => ({ op: "edit", server_id: mid(n), target: mid(target), conv: "c_1", from: "u_bob", ts: n, body: "new", prev: mid(n - 1) });
  let state = begin(newest, { type: "change", change: edit(101, 40) }, around);
  const said = (n) => store.shownOf(state, "c_1").find((one) => one.ts === n).body;
  assert.equal(said(40), "new");
  state = run(state, { type: "change", change: edit(102, 41) });
  assert.equal(said(41), "new");
});

test("what was answered in the past is kept aside, as changes leave it", () => {
  let state = begin(newest, around, { type: "present", answered: mid(40) });
  assert.deepEqual(state.aside.map((one) => one.body), ["text 40"]);
  const gone = { op: "delete", server_id: mid(101), target: mid(40), conv: "c_1", from: "u_bob", ts: 101, prev: mid(100) };
  state = run(state, { type: "change", change: gone });
  assert.ok(state.aside[0].deleted);
  assert.deepEqual(run(state, { type: "conversation-gone", conv: "c_1" }).aside, []);
  assert.deepEqual(begin(newest, around, { type: "present" }).aside, []);
});

test("the past of a conversation goes with it, and with its time", () => {
  const state = begin(newest, around);
  assert.equal(run(state, { type: "conversation-gone", conv: "c_1" }).past, null);
  assert.equal(run(state, { type: "conversation-gone", conv: "c_2" }).past.conv, "c_1");
  const expired = run(state, { type: "conversations", results: [conv({ expired_before: mid(45) })] }, { type: "expire", now: 0 });
  assert.equal(shown(expired)[0], 45);
});

test("what is pinned follows the changes, one's own that are on their way, and survives the list being read anew", () => {
  const pins = [{ message: msg(1), by: BOB.id, ts: 1 }];
  let state = begin({ type: "msg", message: msg(1) }, { type: "msg", message: msg(2) }, { type: "pins", conv: "c_1", pins });
  const shown = () => store.pinsOf(state, "c_1").map((one) => one.message.server_id);
  state = run(state, { type: "change-queued", change: { op: "pin", on: true, msg_id: "x", conv: "c_1", target: mid(2), ts: 5 } });
  assert.deepEqual(shown(), [mid(2), mid(1)]);
  assert.equal(store.pinsOf(state, "c_1")[0].by, ME.id);
  state = run(state, { type: "change", change: { op: "pin", on: true, msg_id: "x", conv: "c_1", server_id: mid(3), target: mid(2), from: ME.id, prev: mid(2), ts: 5 } });
  assert.deepEqual([shown(), state.pending], [[mid(2), mid(1)], []]);
  state = run(state, { type: "conversations", results: [conv()] });
  assert.deepEqual(shown(), [mid(2), mid(1)]);
  state = run(state, { type: "backfill", conv: "c_1", messages: [], changes: [{ op: "delete", conv: "c_1", server_id: mid(4), target: mid(1), from: BOB.id, ts: 6 }], mark: mid(4) });
  assert.deepEqual(shown(), [mid(2)]);
  state = run(state, { type: "conversation", conversation: conv({ expired_before: mid(3) }) }, { type: "expire", now: 0 });
  assert.deepEqual(shown(), []);
});

test("pinned conversations stand on top; what is put away comes back with a message, unless it is muted", () => {
  const other = conv({ id: "c_2", created_at: "2026-02-01T00:00:00Z" });
  let state = run(begin(), { type: "conversation", conversation: other });
  const order = () => store.sortedConversations(state).map((one) => one.id);
  assert.deepEqual(order(), ["c_2", "c_1"]);
  state = run(state, { type: "shelved", conv: "c_1", change: { pinned: true, archived: true } });
  assert.deepEqual(order(), ["c_1", "c_2"]);
  assert.equal(run(state, { type: "msg", message: msg(1) }).convs.c_1.archived, false);
  state = run(state, { type: "shelved", conv: "c_1", change: { muted_until: "9999-12-31T00:00:00Z" } }, { type: "msg", message: msg(1) });
  assert.equal(state.convs.c_1.archived, true);
});

test("what is marked as unread counts as one, and is so until something newer is read", () => {
  let state = begin({ type: "msg", message: msg(1) }, { type: "read", conv: "c_1", user: ME.id, server_id: mid(1) });
  state = run(state, { type: "shelved", conv: "c_1", change: { marked_unread: true } });
  assert.equal(store.totalUnread(state, 0), 1);
  assert.equal(store.totalUnread(run(state, { type: "shelved", conv: "c_1", change: { archived: true } }), 0), 0);
  state = run(state, { type: "msg", message: msg(2) }, { type: "msg", message: msg(3) });
  assert.equal(store.totalUnread(state, 0), 2);
  state = run(state, { type: "read", conv: "c_1", user: ME.id, server_id: mid(3) });
  assert.deepEqual([store.totalUnread(state, 0), state.convs.c_1.marked_unread], [0, false]);
});

test("of a long window what is far from the reader is let go of, and is read again from where it ends", () => {
  const many = Array.from({ length: 3_500 }, (_, n) => msg(n + 1));
  const all = begin({ type: "history", conv: "c_1", results: many, next: null });
  const ends = (messages) => [messages[0].server_id, messages.at(-1).server_id];
  assert.equal(store.isLong(all, "c_1"), true);
  // Who reads the newest keeps them, and what is on its way behind them.
  const near = run(all, { type: "queue", message: { msg_id: "x", conv: "c_1", from: ME.id, ts: 9e9, body: "mine" } }, { type: "trim", conv: "c_1", around: null });
  assert.deepEqual([held(near)[0], held(near).at(-1), near.past], ["text 2502", "mine", null]);
  assert.equal(store.threadOf(near, "c_1").complete, false);
  // Who reads far above has a window of their own, which goes on to the newest by itself.
  const far = run(all, { type: "trim", conv: "c_1", around: mid(500) });
  assert.deepEqual(ends(far.past.messages), [mid(1), mid(1_499)]);
  assert.equal(far.past.complete, true);
  assert.deepEqual(ends(store.threadOf(far, "c_1").messages), [mid(3_301), mid(3_500)]);
  const page = (from, to) => ({ type: "past-page", conv: "c_1", results: many.slice(from - 1, to), next: "more" });
  const down = run(far, page(1_500, 3_200), { type: "trim", conv: "c_1", around: mid(3_150) });
  assert.deepEqual(ends(down.past.messages), [mid(2_150), mid(3_200)]);
  assert.equal(down.past.complete, false);
  const joined = run(down, page(3_201, 3_310));
  assert.equal(joined.past, null);
  assert.deepEqual(ends(store.threadOf(joined, "c_1").messages), [mid(2_150), mid(3_500)]);
});

test("what is short is not cut", () => {
  const state = begin({ type: "msg", message: msg(1) });
  assert.equal(run(state, { type: "trim", conv: "c_1", around: null }), state);
});

test("a change finds its message among many, in both windows", () => {
  const many = Array.from({ length: 3_500 }, (_, n) => msg(n + 1));
  const state = run(begin({ type: "history", conv: "c_1", results: many, next: null }, { type: "trim", conv: "c_1", around: mid(500) }), ...[500, 3_400].map((n, at) => ({ type: "change", change: { op: "edit", conv: "c_1", server_id: mid(4_000 + at), target: mid(n), from: BOB.id, ts: 1, body: "new" } })));
  assert.equal(store.messageIn(state.past.messages, mid(500)).body, "new");
  assert.equal(store.messageIn(store.threadOf(state, "c_1").messages, mid(3_400)).body, "new");
  assert.equal(store.messageIn(state.past.messages, mid(3_400)), undefined);
});

test("what the browser kept is taken up in two steps: the list with its marks, then the messages", () => {
  const receipts = { c_1: { read: { u_bob: mid(2) } } };
  const list = run(store.initialState(ME), { type: "cached", convs: [conv({ last_message: msg(3) })], receipts, marks: { c_1: mid(3), c_gone: mid(9) }, messages: {} });
  assert.equal(list.listLoaded, true);
  assert.equal(store.threadOf(list, "c_1").loaded, false);
  assert.deepEqual(list.marks, { c_1: mid(3) });
  // What comes in between knows of what is kept: it is no gap, and nothing is doubled.
  const state = run(list, { type: "msg", message: msg(4) }, { type: "cached", convs: [], marks: list.marks, messages: { c_1: [msg(1), msg(2), msg(3)] } });
  assert.deepEqual(held(state), ["text 1", "text 2", "text 3", "text 4"]);
  assert.equal(store.threadOf(state, "c_1").loaded, true);
  assert.equal(state.marks.c_1, mid(4));
  assert.equal(list.receipts.c_1.read.u_bob, mid(2));
  assert.equal(store.hasGap(list, msg(9)), true);
});

test("hundreds of groups are taken up at once", () => {
  const people = (at) => Array.from({ length: 20 }, (_, number) => ({ ...BOB, id: `u_${(at * 7 + number) % 2_000}`, last_read: mid(at + 1) }));
  const convs = Array.from({ length: 500 }, (_, at) => conv({ id: `c_${at}`, members: people(at) }));
  const receipts = Object.fromEntries(convs.map(({ id, members }) => [id, { read: Object.fromEntries(members.map((one) => [one.id, one.last_read])) }]));
  const began = performance.now();
  const kept = run(store.initialState(ME), { type: "cached", convs, receipts, marks: {}, messages: {} });
  const state = run(kept, { type: "conversations", results: convs });
  // It takes a tenth of a second; with a copy for each member it would be ten.
  assert.ok(performance.now() - began < 3_000);
  assert.equal(store.sortedConversations(state).length, 500);
  assert.equal(state.receipts.c_499.read.u_1494, mid(500));
});

test("what was sent with no page open is shown as sent, and is no mark", () => {
  const kept = { ...msg(9), from: "u_me", msg_id: "a", acked: true, status: "sent" };
  const begun = (messages, marks) => run(store.initialState(ME), { type: "cached", convs: [conv()], marks, messages: { c_1: messages } });
  assert.equal(begun([msg(3), kept], { c_1: mid(3) }).marks.c_1, mid(3));
  assert.equal(begun([msg(3), kept], {}).marks.c_1, mid(3));
  assert.equal(begun([kept], {}).marks.c_1, undefined);
  const state = begun([msg(3), kept], { c_1: mid(3) });
  assert.equal(store.newestHeld(state, "c_1"), mid(3));
  // What others wrote before it comes with the next sync, and so does it.
  const synced = run(state, { type: "backfill", conv: "c_1", messages: [msg(8), { ...msg(9), from: "u_me", msg_id: "a" }], mark: mid(9) });
  assert.deepEqual(held(synced), ["text 3", "text 8", "text 9"]);
  assert.equal(store.newestHeld(synced, "c_1"), mid(9));
});
