import assert from "node:assert/strict";
import { test } from "node:test";
import { blocks, plainText, spans } from "../../static/js/markdown.js";

const say = (parts) => parts.map((one) => (typeof one === "string" ? one : `<${one.kind}>${one.text ?? say(one.spans)}</>`)).join("");
const line = (text) => say(spans(text));

test("words are marked from outside, and markers within each other", () => {
  assert.equal(line("a **b** c"), "a <strong>b</> c");
  assert.equal(line("*a* _b_ ~~c~~ `d`"), "<em>a</> <em>b</> <del>c</> <code>d</>");
  assert.equal(line("**bold and *both* of it**"), "<strong>bold and <em>both</> of it</>");
  assert.equal(line("(*yes*), _no_!"), "(<em>yes</>), <em>no</>!");
});

test("what only looks like a marker stays text", () => {
  for (const text of ["2 * 3 * 4", "snake_case_name", "a*b*c", "**", "** x **", "~~ ~~", "*open", "`open", "_", "__init__", "@_bob_", "https://a.example/_b_/*c*?d=**e**", "5 > 3", "_a\nb_"]) {
    assert.equal(line(text), text, text);
  }
});

test("in code nothing is marked", () => {
  assert.equal(line("`**a** <b>`"), "<code>**a** <b></>");
  assert.deepEqual(blocks("look:\n```js\nconst a = `x`;\n\n**b**\n```\nthere"), [
    { kind: "text", spans: ["look:"] },
    { kind: "code", text: "const a = `x`;\n\n**b**" },
    { kind: "text", spans: ["there"] },
  ]);
  assert.deepEqual(blocks("```\nnever closed"), [{ kind: "code", text: "never closed" }]);
});

test("quotes and lists", () => {
  assert.deepEqual(blocks("> a\n> *b*\nc"), [{ kind: "quote", spans: ["a\n", { kind: "em", spans: ["b"] }] }, { kind: "text", spans: ["c"] }]);
  assert.deepEqual(blocks("- a\n- b\n2. c\n3. d"), [
    { kind: "list", start: null, items: [["a"], ["b"]] },
    { kind: "list", start: 2, items: [["c"], ["d"]] },
  ]);
  assert.deepEqual(blocks("2026. was\n-5\n-"), [{ kind: "text", spans: ["2026. was\n-5\n-"] }]);
});

test("every character of a text without markers is there, and each once", () => {
  for (const text of ["", "\n", "a\n\nb", " lead", "tail \n", "<img src=x onerror=alert(1)>", "👋🏽 héllo", "\u202e\u0000"]) {
    assert.deepEqual(blocks(text).map((one) => say(one.spans)).join("\n"), text);
    assert.equal(plainText(text), text);
  }
});

test("one line of it has no markers", () => {
  assert.equal(plainText("**a** `b`\n- c\n- *d*\n3. e\n> f\n```\ng\n```"), "a b\n• c\n• d\n3. e\nf\ng");
});

test("hostile texts take no time", () => {
  const started = Date.now();
  for (const part of ["~~a ", "**a ", "*a ", "_a", "`", "> ", "- ", "```\n", "https://", "**a*", "*".repeat(9)]) {
    blocks(part.repeat(65_536 / part.length));
  }
  assert.ok(Date.now() - started < 4_000, `${Date.now() - started} ms`);
});
