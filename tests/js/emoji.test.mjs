import assert from "node:assert/strict";
import { test } from "node:test";
import { CATEGORIES, found, named } from "../../static/js/emoji-data.js";
import { WORDS as ARABIC } from "../../static/js/i18n/emoji-ar.js";
import { WORDS as GERMAN } from "../../static/js/i18n/emoji-de.js";
import { WORDS as SPANISH } from "../../static/js/i18n/emoji-es.js";
import { WORDS as CHINESE } from "../../static/js/i18n/emoji-zh-hans.js";

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

test("in another language they have other names, and are found by those, with or without accents, and by the English ones", () => {
  const of = (own, typed) => found(typed, named(own)).map(({ emoji }) => emoji);
  const nameOf = (own, wanted) => named(own).flatMap(({ emoji }) => emoji).find(({ emoji }) => emoji === wanted).name;
  assert.equal(nameOf(GERMAN, "🎂"), "Geburtstagskuchen");
  assert.equal(nameOf({}, "🎂"), "birthday cake");
  assert.ok(of(GERMAN, "herz").includes("❤️") && of(GERMAN, "heart").includes("❤️"));
  assert.ok(of(GERMAN, "blume").length > 0);
  assert.ok(!of(GERMAN, "erz").includes("❤️"));
  assert.deepEqual(of(SPANISH, "corazón rojo"), ["❤️"]);
  assert.deepEqual(of(SPANISH, "CORAZON ROJO"), ["❤️"]);
  assert.ok(of(ARABIC, "قلب").includes("❤️"));
  // Of 爱心, say, the second sign alone, too.
  assert.ok(of(CHINESE, "心").includes("❤️") && of(CHINESE, "心").length > of(CHINESE, "红心").length);
});
