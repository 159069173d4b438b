/**
 * What a text says with its markers: a small part of Markdown, as plain values. Pure; whoever shows it makes nodes of them,
 * and text never becomes markup.
 *
 * A text is a list of blocks: `{kind: "text" | "quote", spans}`, `{kind: "list", start, items: [spans]}` (`start` is null
 * for bullets), `{kind: "code", text}`. Spans are texts, or `{kind: "strong" | "em" | "del", spans}`, or `{kind: "code", text}`.
 */

/** No marker reaches further than this: what opens and never closes must not be looked for over and over. */
const SPAN = 1_000;
const DEPTH = 4;

// Code and addresses first: in them nothing is marked. A marker stands at the outside of words, so that names_like_this stay.
const INLINE = new RegExp(
  [
    "`(?<code>[^`\\n]+)`",
    "(?<address>\\bhttps?:\\/\\/[^\\s<>\"'`]+)",
    `\\*\\*(?<strong>(?=\\S)[^\\n]{1,${SPAN}}?(?<=\\S))\\*\\*`,
    `~~(?<del>(?=\\S)[^\\n]{1,${SPAN}}?(?<=\\S))~~`,
    `(?<![\\p{L}\\p{N}_*@/])(?<mark>[*_])(?<em>(?=[^\\s*_])[^\\n]{1,${SPAN}}?(?<=[^\\s*_]))\\k<mark>(?![\\p{L}\\p{N}_*])`,
  ].join("|"),
  "gu",
);

/** Return the spans of a line or paragraph. */
export function spans(text, depth = 0) {
  const found = [];
  let end = 0;
  const plain = (upto) => upto > end && found.push(text.slice(end, upto));
  if (depth < DEPTH) {
    for (const match of text.matchAll(INLINE)) {
      const { code, address, strong, del, em } = match.groups;
      // It stays a part of the text, whose addresses become links later.
      if (address !== undefined) continue;
      plain(match.index);
      end = match.index + match[0].length;
      if (code !== undefined) found.push({ kind: "code", text: code });
      else if (strong !== undefined) found.push({ kind: "strong", spans: spans(strong, depth + 1) });
      else if (del !== undefined) found.push({ kind: "del", spans: spans(del, depth + 1) });
      else found.push({ kind: "em", spans: spans(em, depth + 1) });
    }
  }
  plain(text.length);
  return found;
}

const FENCE = /^ {0,3}```[^`]*$/u;
const QUOTE = /^> ?/u;
const BULLET = /^ {0,3}[-*•] +(?=\S)/u;
const NUMBER = /^ {0,3}(\d{1,3})[.)] +(?=\S)/u;

const kindOf = (line) => (FENCE.test(line) ? "code" : QUOTE.test(line) ? "quote" : BULLET.test(line) || NUMBER.test(line) ? "list" : "text");

/** Return the blocks of a text. Code that is not closed goes on to the end. */
export function blocks(text) {
  const lines = text.split("\n");
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const kind = kindOf(lines[at]);
    const first = at;
    if (kind === "code") {
      at += 1;
      while (at < lines.length && !FENCE.test(lines[at])) at += 1;
      found.push({ kind, text: lines.slice(first + 1, at).join("\n") });
      at += 1;
      continue;
    }
    const number = NUMBER.exec(lines[first]);
    const same = (line) => kindOf(line) === kind && (kind !== "list" || Boolean(number) === NUMBER.test(line));
    while (at < lines.length && same(lines[at])) at += 1;
    const taken = lines.slice(first, at);
    if (kind === "list") found.push({ kind, start: number ? Number(number[1]) : null, items: taken.map((line) => spans(line.replace(number ? NUMBER : BULLET, ""))) });
    else if (kind === "quote") found.push({ kind, spans: spans(taken.map((line) => line.replace(QUOTE, "")).join("\n")) });
    else found.push({ kind, spans: spans(taken.join("\n")) });
  }
  return found;
}

const saidIn = (parts) => parts.map((part) => (typeof part === "string" ? part : part.kind === "code" ? part.text : saidIn(part.spans))).join("");

/** Return a text without its markers, for where there is one line for it. */
export function plainText(text) {
  const lines = blocks(text).map((block) => {
    if (block.kind === "code") return block.text;
    if (block.kind === "list") return block.items.map((item, at) => `${block.start === null ? "•" : `${block.start + at}.`} ${saidIn(item)}`).join("\n");
    return saidIn(block.spans);
  });
  return lines.join("\n");
}
