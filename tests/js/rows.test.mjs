import assert from "node:assert/strict";
import { test } from "node:test";
import { cut, onlyEmoji } from "../../static/js/bubble.js";
import { outlineOf, rowOf } from "../../static/js/rows.js";

const DAY = 86_400_000;
const NOON = new Date(2026, 0, 5, 12).getTime();
const msg = (n, more = {}) => ({ server_id: `m_${n}`, conv: "c", from: "u_bob", ts: NOON + n * 1_000, body: `text ${n}`, kind: "text", ...more });
const rows = (messages, { lineAt, isUnread = null, ...more } = {}) => {
  const view = {
    me: "u_me", group: false, statusOf: () => "sent", nameOf: (id) => id, textOf: (one) => one.body, quoteOf: () => null, mentionsOf: () => [], mayDo: () => ["reply"],
    ...more,
  };
  return outlineOf(messages, isUnread, lineAt).map((row) => rowOf(row, view, () => false));
};
const shape = (found) => found.map((row) => (row.kind === "message" ? `${row.first ? "<" : ""}${row.text}${row.last ? ">" : ""}` : row.kind));

test("messages of one person, close in time, make one bubble group; another person, an event, a day, five minutes end it", () => {
  const found = rows([
    msg(0), msg(1), msg(2, { from: "u_me" }), msg(3, { kind: "event" }), msg(4), msg(400), msg(401, { ts: NOON + DAY }),
  ]);
  assert.deepEqual(shape(found), ["day", "<text 0", "text 1>", "<text 2>", "event", "<text 4>", "<text 400>", "day", "<text 401>"]);
});

test("the line stands above the first unread message, and stays there when earlier ones are loaded", () => {
  const isUnread = () => true;
  const found = rows([msg(5), msg(6)], { isUnread });
  assert.deepEqual(shape(found), ["day", "new", "<text 5", "text 6>"]);
  assert.equal(found[1].above, "m_5");
  assert.deepEqual(shape(rows([msg(4), msg(5), msg(6)], { isUnread, lineAt: "m_5" })), ["day", "<text 4", "new", "<text 5", "text 6>"]);
});

test("only one's own messages have a state", () => {
  const [, theirs, mine] = rows([msg(1), msg(2, { from: "u_me" })]);
  assert.deepEqual([theirs.status, mine.status, mine.name], [null, "sent", "You"]);
});

test("of a deleted message nothing can be done, and nothing is quoted", () => {
  const [, found] = rows([msg(1, { deleted: true, reply_to: "m_0", edited_at: 5 })], { quoteOf: () => ({ author: "a", text: "b" }) });
  assert.deepEqual([found.gone, found.edited, found.quote, found.can], [true, false, null, []]);
});

test("of a withheld message its author may do what is left", () => {
  const [, found] = rows([msg(1, { withheld: true, edited_at: 5, reactions: [{ emoji: "👍", count: 1, users: [] }] })], { mayDo: () => ["delete"] });
  assert.deepEqual([found.gone, found.edited, found.reactions, found.can], [true, false, [], ["delete"]]);
});

test("a mention of the reader stands out in what others wrote, and goes with the message", () => {
  const mentionsOf = () => [{ id: "u_me", username: "me", name: "Me", mine: true }];
  const found = rows([msg(1), msg(2, { from: "u_me" }), msg(3, { deleted: true })], { mentionsOf });
  assert.deepEqual(found.slice(1).map((row) => [row.toMe, row.mentions.length]), [[true, 1], [false, 1], [false, 0]]);
});

test("who reacted is said in words", () => {
  const reactions = [
    { emoji: "👍", count: 1, mine: true, users: ["u_me"] },
    { emoji: "🎉", count: 3, mine: true, users: ["u_bob", "u_me", "u_ann"] },
    { emoji: "🔥", count: 9, mine: false, users: ["u_bob", "u_ann"] },
  ];
  const [, found] = rows([msg(1, { reactions })]);
  assert.deepEqual(found.reactions.map((one) => one.names), ["You", "You, u_bob, and u_ann", "u_bob, u_ann, and 7 more"]);
});

test("one to three emoji alone are large; digits and words are none", () => {
  for (const text of ["👍", "👍🏽 🎉", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "❤️"]) assert.ok(onlyEmoji(text), text);
  for (const text of ["1", "ok 👍", "🎉🎉🎉🎉", "", "#"]) assert.ok(!onlyEmoji(text), text);
});

test("a long text is cut, by characters or lines, and never within a character", () => {
  assert.equal(cut("short"), null);
  assert.equal(cut("x".repeat(1_400)), null);
  assert.equal(cut("x".repeat(5_000)), 1_200);
  assert.equal(cut(`x${"🎉".repeat(3_000)}`) % 2, 1);
  assert.equal(cut("line\n".repeat(20)), null);
  assert.equal(cut("line\n".repeat(100)), 24 * 5 - 1);
});
