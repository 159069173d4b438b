import assert from "node:assert/strict";
import { test } from "node:test";
import { CATEGORIES, found } from "../../static/js/emoji-data.js";

const all = CATEGORIES.flatMap(({ emoji }) => emoji);

test("each is one emoji, is there once, and has a name", () => {
  for (const { emoji, words } of all) {
    assert.match(emoji, /^\p{RGI_Emoji}$/v, emoji);
    assert.match(words, /^[a-z][a-z -]*$/u, emoji);
  }
  assert.equal(new Set(all.map(({ emoji }) => emoji)).size, all.length);
  assert.ok(all.length > 300);
});

test("they are found by the beginnings of their words", () => {
  const of = (typed) => found(typed).map(({ emoji }) => emoji);
  assert.ok(of("heart").includes("❤️") && of("heart").includes("😍"));
  assert.deepEqual(of("tears jo"), ["😂"]);
  assert.deepEqual(of("PIZ"), ["🍕"]);
  assert.deepEqual(of("nothing like it"), []);
  assert.equal(of("").length, all.length);
});
