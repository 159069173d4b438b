import assert from "node:assert/strict";
import { test } from "node:test";

// The page says its language before any module is loaded.
globalThis.document = { documentElement: { lang: "ar", dir: "rtl" } };
const { _, known, learn, listed, locale, localeFor, n, refusal } = await import("../../static/js/i18n.js");

/** What a page shows, without the marks that keep names apart. */
const plain = (text) => text.replace(/[\u2068\u2069]/gu, "");
const LANGUAGES = ["de", "es", "ar", "zh-hans"];

test("what is not in the catalogue stays English", () => {
  learn({}, ({ detail }) => detail);
  assert.equal(_("Not in any catalogue"), "Not in any catalogue");
  assert.equal(plain(_("Hello {name}, {name}!", { name: "Ann" })), "Hello Ann, Ann!");
  assert.equal(n("{count} day", "{count} days", 1), "1 day");
  assert.equal(n("{count} day", "{count} days", 5), "5 days");
  assert.equal(known("Not in any catalogue"), undefined);
});

test("a name keeps its direction among words of another", () => {
  assert.equal(_("{name} left", { name: "Ann" }), "\u2068Ann\u2069 left");
});

test("braces in a name are no placeholder, and a dollar is itself", () => {
  assert.equal(plain(_("{who} added {others}", { who: "{others}", others: "$&" })), "{others} added $&");
});

test("numbers are written as the reader does, with the digits of the server", () => {
  assert.equal(n("{count} file", "{count} files", 12_345), "12,345 files");
  assert.match(locale, /^ar.*latn/u);
});

test("each of the six Arabic plurals is its own form", () => {
  const forms = ["zero", "one", "two", "few {count}", "many {count}", "other {count}"];
  learn({ "{count} day": forms }, ({ detail }) => detail);
  const said = (count) => n("{count} day", "{count} days", count);
  assert.deepEqual([0, 1, 2, 3, 10, 11, 99, 100, 102, 103].map(said), ["zero", "one", "two", "few 3", "few 10", "many 11", "many 99", "other 100", "other 102", "few 103"]);
});

test("names are listed as the language does", () => {
  assert.equal(listed(["Ann", "Bob"]), "Ann وBob");
});

test("the reader's own variety of a language is preferred, and no other language or script", () => {
  const numbers = (tag) => tag.replace("-u-nu-latn", "");
  assert.equal(numbers(localeFor("en", ["de-DE", "en-GB", "en-US"])), "en-GB");
  assert.equal(numbers(localeFor("de", ["en-US"])), "de");
  assert.equal(numbers(localeFor("zh-hans", ["zh-TW", "zh-CN"])), "zh-CN");
  assert.equal(numbers(localeFor("zh-hans", ["zh-TW"])), "zh-Hans");
  assert.equal(numbers(localeFor("en", ["en-US@posix", "en-AU"])), "en-AU");
});

for (const tag of LANGUAGES) {
  test(`the catalogue of ${tag} speaks: texts, plurals as Intl chooses them, the server's refusals`, async () => {
    await import(`../../static/js/i18n/${tag}.js`);
    assert.notEqual(_("Reply"), "Reply");
    assert.ok(!_("Jump to newest").includes("Jump"));
    for (const [code, detail] of [["not_found", "no such message"], ["conflict", "something that no catalogue has"]]) {
      const said = refusal({ code, detail, title: "Conflict" });
      assert.ok(said && !said.includes("no such") && !said.includes("something"), said);
    }
    assert.equal(refusal({ code: "of a later version", detail: "who knows" }), "who knows");
    // In the order in which the catalogues have them.
    const order = ["zero", "one", "two", "few", "many", "other"];
    const categories = order.filter((one) => new Intl.PluralRules(tag).resolvedOptions().pluralCategories.includes(one));
    const forms = known("{count} member");
    assert.ok(forms.length === categories.length || (tag === "es" && forms.length === 2), `${forms.length} ${categories}`);
  });
}
