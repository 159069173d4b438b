import assert from "node:assert/strict";
import { test } from "node:test";
import { begun, mentionsIn, pieces, suggested } from "../../static/js/mentions.js";

const people = [
  { id: "u_bob", username: "bob", name: "Bob Brook" },
  { id: "u_bobby", username: "bob.by", name: "Robert Ash" },
  { id: "u_cat", username: "cat-1", name: "Cat" },
];
const ids = (text, all = true, most = 50) => mentionsIn(text, people, all, most);

test("who is mentioned: whole usernames, in their order, each once", () => {
  assert.deepEqual(ids("@cat-1 and @Bob, and @bob again"), ["u_cat", "u_bob"]);
  assert.deepEqual(ids("(@bob) “@bob.by”: hi"), ["u_bob", "u_bobby"]);
  assert.deepEqual(ids("@bob @cat-1", true, 1), ["u_bob"]);
});

test("a full stop ends a sentence, or is part of a name", () => {
  assert.deepEqual(ids("Ask @bob."), ["u_bob"]);
  assert.deepEqual(ids("Ask @bob.by..."), ["u_bobby"]);
});

test("what only looks like a mention is none", () => {
  for (const text of ["bob@bob", "mail me: x@bob", "@bobb", "@@bob", "@", "@ bob", "https://example.org/@bob", "é@bob", "+@bob"]) assert.deepEqual(ids(text), [], text);
});

test("all has several words, where all may be meant", () => {
  assert.deepEqual(ids("@all @channel @everyone"), ["all"]);
  assert.deepEqual(ids("@all", false), []);
});

test("a text in pieces is the same text", () => {
  const text = "Hi @bob, <b>@dan</b> & @all.";
  const found = pieces(text, people, true);
  assert.equal(found.map((one) => one.text).join(""), text);
  assert.deepEqual(found.filter((one) => one.id), [{ text: "@bob", id: "u_bob" }, { text: "@all", id: "all" }]);
  assert.deepEqual(pieces("no one", people, false), [{ text: "no one" }]);
});

test("a mention is begun by an @ at the beginning of a word", () => {
  assert.deepEqual(begun("hi @Bo", 6), { start: 3, query: "bo" });
  assert.deepEqual(begun("@", 1), { start: 0, query: "" });
  assert.deepEqual(begun("hi @bo there", 6), { start: 3, query: "bo" });
  assert.equal(begun("hi @bo there", 12), null);
  assert.equal(begun("me@bo", 5), null);
});

test("the best come first: usernames, names, words in names", () => {
  const names = (query) => suggested(people, query).map((one) => one.username);
  assert.deepEqual(names("bo"), ["bob", "bob.by"]);
  assert.deepEqual(names("ro"), ["bob.by"]);
  assert.deepEqual(names("br"), ["bob"]);
  assert.deepEqual(names(""), ["bob", "bob.by", "cat-1"]);
  assert.deepEqual(names("x"), []);
  assert.equal(suggested([{ id: "all", username: "all", name: "Everybody here" }, ...people], "").at(-1).id, "all");
});
