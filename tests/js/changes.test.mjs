import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, newer, overlay, repin } from "../../static/js/changes.js";

const ME = "u_me";
const mid = (n) => {
  const raw = Buffer.alloc(16);
  raw.writeBigUInt64BE(BigInt(n), 8);
  return `m_${raw.toString("base64url")}`;
};
const MESSAGE = { server_id: mid(1), body: "helo", media: [] };
const at = (n, op, more = {}) => ({ op, server_id: mid(n), target: mid(1), from: "u_bob", ts: n, ...more });
const all = (...changes) => changes.reduce((message, one) => fold(message, one, ME), MESSAGE);

test("each change counts once, and none that is older than what is held", () => {
  const edit = at(3, "edit", { body: "hello" });
  const message = all(edit, edit, at(2, "edit", { body: "older" }));
  assert.deepEqual([message.body, message.edited_at, message.as_of], ["hello", 3, mid(3)]);
});

test("after a deletion nothing is left to change", () => {
  const message = all(at(2, "react", { emoji: "👍", on: true, count: 1 }), at(3, "delete"), at(4, "edit", { body: "back" }), at(5, "react", { emoji: "👍", on: true, count: 1 }));
  assert.deepEqual([message.deleted, message.body, message.reactions, message.as_of], [true, "", [], mid(5)]);
});

test("what is withheld is forgotten, keeps its reactions, and comes back as the server says", () => {
  const thumb = at(2, "react", { emoji: "👍", on: true, count: 1 });
  const withheld = all(at(2, "edit", { body: "rude" }), { ...thumb, server_id: mid(3) }, at(4, "takedown"));
  assert.deepEqual([withheld.withheld, withheld.body, withheld.edited_at, withheld.reactions.length], [true, "", null, 1]);
  const back = fold(withheld, at(5, "restore", { body: "rude", edited_at: 2 }), ME);
  assert.deepEqual([back.withheld, back.body, back.edited_at, back.media, back.reactions.length], [false, "rude", 2, [], 1]);
  assert.equal(fold(back, at(4, "takedown"), ME), back);
  assert.equal(all(at(2, "takedown"), at(3, "delete"), at(4, "restore", { body: "rude" })).body, "");
});

test("reactions keep their places, say who, and go with the last", () => {
  const message = all(
    at(2, "react", { emoji: "👍", on: true, count: 1 }),
    at(3, "react", { emoji: "🎉", on: true, count: 1, from: ME }),
    at(4, "react", { emoji: "👍", on: true, count: 2, from: ME }),
    at(5, "react", { emoji: "👍", count: 1 }),
  );
  assert.deepEqual(message.reactions, [
    { emoji: "👍", count: 1, mine: true, users: [ME] },
    { emoji: "🎉", count: 1, mine: true, users: [ME] },
  ]);
  assert.deepEqual(fold(message, at(6, "react", { emoji: "🎉", from: ME }), ME).reactions.length, 1);
});

test("the newer copy is that with more changes in it", () => {
  const changed = fold(MESSAGE, at(5, "edit", { body: "x" }), ME);
  assert.equal(newer(MESSAGE, changed), changed);
  assert.equal(newer(changed, MESSAGE), changed);
  assert.equal(newer(changed, { ...MESSAGE, as_of: mid(6) }).body, "helo");
});

test("an edit has mentions of its own, and a deletion none", () => {
  const message = { ...MESSAGE, mentions: ["u_ann"] };
  assert.deepEqual(fold(message, at(2, "edit", { body: "x", mentions: ["u_cat"] }), ME).mentions, ["u_cat"]);
  assert.deepEqual(fold(message, at(2, "edit", { body: "x" }), ME).mentions, []);
  assert.deepEqual(fold(message, at(2, "delete"), ME).mentions, []);
  assert.deepEqual(overlay(message, [{ op: "edit", body: "x", ts: 9, mentions: ["all"] }], ME).mentions, ["all"]);
});

test("what is on its way is shown on top", () => {
  const reacted = fold(MESSAGE, at(2, "react", { emoji: "👍", on: true, count: 4 }), ME);
  const on = overlay(reacted, [{ op: "react", emoji: "👍", on: true }], ME);
  assert.deepEqual([on.reactions[0].count, on.reactions[0].mine], [5, true]);
  const twice = overlay(reacted, [{ op: "react", emoji: "👍", on: true }, { op: "react", emoji: "👍", on: false }], ME);
  assert.deepEqual([twice.reactions[0].count, twice.reactions[0].mine], [4, false]);
  assert.deepEqual(overlay(reacted, [{ op: "react", emoji: "👍", on: false }], ME).reactions[0].count, 4);
  const gone = overlay(reacted, [{ op: "edit", body: "x", ts: 9 }, { op: "delete" }, { op: "edit", body: "y", ts: 9 }], ME);
  assert.deepEqual([gone.body, gone.deleted, gone.reactions], ["", true, []]);
});

test("pins: the newest first, each once, and none of what is gone", () => {
  const other = { ...MESSAGE, server_id: mid(2) };
  const pin = (n, target, on = true) => at(n, "pin", { target: mid(target), on });
  const both = [[pin(3, 1), MESSAGE], [pin(4, 2), other], [pin(5, 1), MESSAGE]].reduce((pins, [one, message]) => repin(pins, one, message, ME), []);
  assert.deepEqual(both.map((one) => [one.message.server_id, one.by, one.ts]), [[mid(1), "u_bob", 5], [mid(2), "u_bob", 4]]);
  assert.deepEqual(repin(both, pin(6, 1, false), MESSAGE, ME).map((one) => one.ts), [4]);
  assert.deepEqual(repin(both, pin(6, 3), undefined, ME), both);
  assert.deepEqual(repin(both, at(6, "edit", { body: "new" }), MESSAGE, ME)[0].message.body, "new");
  for (const op of ["delete", "takedown"]) assert.deepEqual(repin(both, at(6, op), MESSAGE, ME).map((one) => one.ts), [4]);
  // A pin changes nothing in the message.
  assert.deepEqual(fold(MESSAGE, pin(3, 1), ME), { ...MESSAGE, as_of: mid(3) });
});
