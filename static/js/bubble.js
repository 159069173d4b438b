/** One message: its text, what it answers, time and state, and what one may do with it. */
import { avatar, el, hueOf, icon, linkify, ticks } from "./dom.js";
import { clock, moment } from "./format.js";

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
 * Return the element of a message. `shown`: {key, message, text, first, last, out, status, author, group, quote, whole}:
 * `author` is null where the bubble does not name one, `quote` is {author, text} or null, `whole` says that a long text
 * was opened. `emit(name, detail)` tells what the reader wants: `whole`, `reply`, `find`, `retry`, `discard`.
 */
export function bubble(shown, emit) {
  const { key, message, text, first, last, out, status, name, group, quote, whole } = shown;
  const big = onlyEmoji(text);
  const end = whole ? null : cut(text);
  const body = el("span", { className: "body" }, ...linkify(end === null ? text : `${text.slice(0, end)}…`));
  const meta = el("span", { className: "meta", dir: "ltr" }, el("time", { dateTime: new Date(message.ts).toISOString(), title: moment(message.ts) }, clock(message.ts)), status ? ticks(status) : null);
  const box = el(
    "div",
    { className: big && !quote ? "bubble large" : "bubble" },
    group && !out && first ? el("span", { className: "author", "data-hue": hueOf(message.from), dir: "auto" }, name) : null,
    quote ? quoted(message, quote, emit) : null,
    el("div", { className: "text", dir: "auto" }, body, end === null ? null : el("button", { className: "whole", type: "button", onclick: () => emit("whole", { key }) }, "Show all"), meta),
    status === "failed" ? failure(message, emit) : null,
  );
  const face = group && !out ? (last ? avatar(message.from, name) : el("span", { className: "avatar-space" })) : null;
  const reply = message.server_id
    ? el("button", { className: "icon-button act", type: "button", tabIndex: -1, title: "Reply (Enter)", "aria-label": "Reply", onclick: () => emit("reply", { key }) }, icon("reply"))
    : null;
  const classes = ["message", out ? "out" : "in", first && "first", last && "last", status === "failed" && "failed"];
  return el(
    "div",
    { className: classes.filter(Boolean).join(" "), role: "article", "aria-label": `${name}, ${clock(message.ts)}`, "data-message": key, tabIndex: -1 },
    face,
    box,
    reply,
  );
}

function quoted(message, quote, emit) {
  return el(
    "button",
    { className: "quote", type: "button", tabIndex: -1, title: "Go to this message", onclick: () => emit("find", { server_id: message.reply_to }) },
    el("strong", { dir: "auto" }, quote.author),
    el("span", { dir: "auto" }, quote.text),
  );
}

function failure(message, emit) {
  const act = (name, label) => el("button", { type: "button", onclick: () => emit(name, { msg_id: message.msg_id }) }, label);
  return el("div", { className: "failure" }, el("span", {}, message.error ?? "Not sent."), act("retry", "Try again"), act("discard", "Delete"));
}
