/**
 * `@username` in a text: which words are meant as mentions, whom the message then mentions, and what to suggest while one
 * is written. Pure. What stands before an `@` that begins a word is a space, a bracket, or nothing.
 */

export const ALL = "all";
/** Other words for all; people are used to different ones. */
const ALL_WORDS = new Set(["all", "channel", "everyone"]);
const WORD = /(?<![\p{L}\p{N}_@.+/-])@([a-z0-9][a-z0-9._-]{0,31})/giu;
const BEGUN = /(?<![\p{L}\p{N}_@.+/-])@([\p{L}\p{N}._-]{0,32})$/u;
const MOST_SUGGESTED = 8;

/** What a word after the `@` may name: itself, or without the full stop that ends the sentence. */
const names = (word) => {
  const lower = word.toLowerCase();
  const bare = lower.replace(/[._-]+$/u, "");
  return bare === lower ? [lower] : [lower, bare];
};

/** Return the mentions of a text, in their order: {start, end, id}. `people`: {id, username}; `all` where all may be meant. */
function found(text, people, all) {
  const byName = new Map(people.map((one) => [one.username.toLowerCase(), one.id]));
  const mentions = [];
  for (const match of text.matchAll(WORD)) {
    for (const name of names(match[1])) {
      const id = byName.get(name) ?? (all && ALL_WORDS.has(name) ? ALL : null);
      if (!id) continue;
      mentions.push({ start: match.index, end: match.index + 1 + name.length, id });
      break;
    }
  }
  return mentions;
}

/** Return whom a text mentions, each once, `most` of them. */
export const mentionsIn = (text, people, all, most) => [...new Set(found(text, people, all).map((one) => one.id))].slice(0, most);

/** Return the text in pieces, {text, id}: `id` of those that mention somebody of `people`, or `all`. */
export function pieces(text, people, all) {
  const parts = [];
  let end = 0;
  for (const one of found(text, people, all)) {
    if (one.start > end) parts.push({ text: text.slice(end, one.start) });
    parts.push({ text: text.slice(one.start, one.end), id: one.id });
    end = one.end;
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/** Return the mention that is being written before the caret: {start, query}, or null. */
export function begun(text, caret) {
  const match = BEGUN.exec(text.slice(0, caret));
  return match && { start: match.index, query: match[1].toLowerCase() };
}

/** Return the best of `people` ({id, username, name}) for what was typed: names that begin so before words in them; all last. */
export function suggested(people, query) {
  const rank = (one) => {
    if (one.username.toLowerCase().startsWith(query)) return 0;
    const name = one.name.toLowerCase();
    if (name.startsWith(query)) return 1;
    return name.split(/\s+/u).some((word) => word.startsWith(query)) ? 2 : 3;
  };
  const ranked = people.map((one) => [rank(one), one]).filter(([at]) => at < 3);
  const isAll = (one) => Number(one.id === ALL);
  ranked.sort(([a, one], [b, other]) => isAll(one) - isAll(other) || a - b || one.username.localeCompare(other.username));
  return ranked.map(([, one]) => one).slice(0, MOST_SUGGESTED);
}
