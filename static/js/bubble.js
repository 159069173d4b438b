/** One message: its text, what it answers, time and state, reactions, and what one may do with it. */
import { avatar, botMark, el, hidden, hueOf, icon, linkify, ticks } from "./dom.js";
import { nameOfEmoji } from "./emoji.js";
import { clock, moment } from "./format.js";
import { _ } from "./i18n.js";
import { blocks } from "./markdown.js";
import { ALL, pieces } from "./mentions.js";

const EMOJI = /^(?:\p{RGI_Emoji}\s*){1,3}$/v;
/** Of a longer message the beginning is shown first. */
const LONG_CHARS = 1_200;
const LONG_LINES = 24;

/** Is there nothing in it but one to three emoji? */
export const onlyEmoji = (text) => EMOJI.test(text);

/** Return where the beginning of a long text ends, or null for one that is shown whole. */
export function cut(text) {
  let end = text.length > LONG_CHARS * 1.2 ? LONG_CHARS : text.length;
  let line = -1;
  for (let count = 0; count < LONG_LINES; count += 1) {
    line = text.indexOf("\n", line + 1);
    if (line < 0 || line > end) break;
    if (count === LONG_LINES - 1) end = line;
  }
  if (end === text.length) return null;
  // Never between the halves of a character.
  return /[\uD800-\uDBFF]/u.test(text.charAt(end - 1)) ? end - 1 : end;
}

/**
 * Return the element of a message. `shown`: {key, message, text, first, last, out, status, name, is_bot, picture, group, quote, whole, edited,
 * gone, forwarded, changing, reactions, mentions, toMe, can}: `quote` is {author, text} or null, `whole` says that a long
 * text was opened, `gone` that it was deleted or is withheld, `changing` that a change of it is on its way, `mentions` whom
 * it mentions ({id, username, name, mine}), `toMe` that the reader is among them, `can` what one may do with it. `files` is
 * the element of what is attached. `emit(name, detail)` tells what the reader wants: `whole`, `reply`, `find`, `retry`,
 * `discard`, `react`, `appeal`, `menu`.
 */
export function bubble(shown, emit, files = null) {
  const { key, message, text, first, last, out, status, name, group, quote, whole, edited, gone, forwarded, changing, reactions, mentions, toMe, can } = shown;
  const big = !gone && !forwarded && onlyEmoji(text);
  const end = whole || gone ? null : cut(text);
  const body = gone ? el("span", { className: "body" }, icon("gone"), text) : said(end === null ? text : `${text.slice(0, end)}…`, mentions);
  const mark = changing ? el("span", { className: "ticks", title: _("Saving") }, icon("clock"), hidden(_("Saving"))) : null;
  const meta = el("span", { className: "meta" }, edited ? el("span", { className: "edited", title: _("Edited {time}", { time: moment(message.edited_at) }) }, _("edited")) : null, mark, el("time", { dateTime: new Date(message.ts).toISOString(), title: moment(message.ts) }, clock(message.ts)), status && !gone ? ticks(status) : null);
  const box = el(
    "div",
    { className: ["bubble", big && !quote && !files && "large", files && "with-media", files && !text && "no-text"].filter(Boolean).join(" ") },
    group && !out && first ? el("span", { className: "author", "data-hue": hueOf(message.from), dir: "auto" }, name, botMark(shown)) : null,
    forwarded ? el("span", { className: "forwarded" }, icon("forward"), _("Forwarded")) : null,
    quote ? quoted(message, quote, emit) : null,
    files,
    el("div", { className: "text", dir: "auto" }, body, end === null ? null : el("button", { className: "whole", type: "button", onclick: () => emit("whole", { key }) }, _("Show all")), meta),
    status === "failed" ? failure(message, emit) : null,
    can.includes("appeal") ? el("button", { className: "appeal", type: "button", onclick: () => emit("appeal", { key }) }, _("Appeal")) : null,
  );
  const face = group && !out ? (last ? avatar(message.from, name, false, shown.picture) : el("span", { className: "avatar-space" })) : null;
  const classes = ["message", out ? "out" : "in", first && "first", last && "last", status === "failed" && "failed", gone && "gone", reactions.length && "reacted", toMe && "to-me"];
  return el(
    "div",
    { className: classes.filter(Boolean).join(" "), role: "article", "aria-label": `${name}, ${clock(message.ts)}`, "data-message": key, tabIndex: -1 },
    face,
    el("div", { className: "stack" }, box, reactions.length ? chips(key, reactions, can.includes("react"), emit) : null),
    can.length ? acts(key, can, emit) : null,
  );
}

/** The text as its markers say, with its links, and the words that mention somebody marked: those that the message itself says are mentions. */
function said(text, mentions) {
  const all = mentions.some((one) => one.id === ALL);
  const people = mentions.filter((one) => one.username);
  const node = ({ text: word, id }) => {
    const one = id && mentions.find((mention) => mention.id === id);
    return one ? el("span", { className: one.mine ? "mention mine" : "mention", title: one.name }, word) : word;
  };
  const plain = (part) => (mentions.length ? linkify(part, (words) => pieces(words, people, all).map(node)) : linkify(part));
  const within = (spans) => spans.flatMap((one) => (typeof one === "string" ? plain(one) : [one.kind === "code" ? el("code", {}, one.text) : el(one.kind, {}, ...within(one.spans))]));
  const found = blocks(text);
  // Mostly it is one paragraph, and its time stands behind the last word.
  if (found.length === 1 && found[0].kind === "text") return el("span", { className: "body" }, ...within(found[0].spans));
  const shown = {
    text: ({ spans }) => el("p", {}, ...within(spans)),
    quote: ({ spans }) => el("blockquote", {}, ...within(spans)),
    code: (block) => el("pre", { tabIndex: 0, role: "region", "aria-label": _("Code") }, el("code", {}, block.text)),
    list: ({ start, items }) => el(start === null ? "ul" : "ol", start === null ? {} : { start }, ...items.map((spans) => el("li", {}, ...within(spans)))),
  };
  return el("div", { className: "body blocks" }, ...found.map((block) => shown[block.kind](block)));
}

/** What is beside a message while it is pointed at or has the focus. */
function acts(key, can, emit) {
  const act = (name, label, picture, detail = {}) =>
    el("button", { className: "icon-button act", type: "button", tabIndex: -1, title: label, "aria-label": label, onclick: (event) => emit(name, { key, at: event.currentTarget, ...detail }) }, icon(picture));
  return el(
    "div",
    { className: "acts" },
    can.includes("react") ? act("menu", _("React"), "smile", { part: "react" }) : null,
    can.includes("reply") ? act("reply", _("Reply"), "reply") : null,
    act("menu", _("More"), "more"),
  );
}

/** The reactions: who it was is in the label, and a click puts one's own there or takes it back. */
function chips(key, reactions, able, emit) {
  const chip = ({ emoji, count, mine, names }) =>
    el(
      "button",
      {
        className: "reaction",
        type: "button",
        disabled: !able,
        title: _("{names} reacted with {emoji}", { names, emoji }),
        "aria-pressed": String(mine),
        "aria-label": `${nameOfEmoji(emoji)}, ${count}: ${names}`,
        onclick: () => emit("react", { key, emoji, on: !mine }),
      },
      el("span", { className: "glyph", "aria-hidden": "true" }, emoji),
      count > 1 ? el("span", { className: "count", "aria-hidden": "true" }, String(count)) : null,
    );
  return el("div", { className: "reactions", role: "group", "aria-label": _("Reactions") }, ...reactions.map(chip));
}

function quoted(message, quote, emit) {
  return el(
    "button",
    { className: "quote", type: "button", tabIndex: -1, title: _("Go to this message"), onclick: () => emit("find", { server_id: message.reply_to }) },
    el("strong", { dir: "auto" }, quote.author),
    el("span", { dir: "auto" }, quote.text),
  );
}

function failure(message, emit) {
  const act = (name, label) => el("button", { type: "button", onclick: () => emit(name, { msg_id: message.msg_id }) }, label);
  return el("div", { className: "failure" }, el("span", {}, message.error ?? _("Not sent.")), act("retry", _("Try again")), act("discard", _("Delete")));
}
