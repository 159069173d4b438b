/** Who and what, in words: names, titles, the text of a message, who is typing. */
import * as api from "./api.js";
import { eventText, typingText } from "./format.js";
import { changed, dispatch, me, state } from "./model.js";
import { shownOf } from "./store.js";

const TYPING_SHOWN_MS = 5_000;

const asked = new Set();

/** Return a person's name; one that is not known yet is asked for, and "Someone" until then. */
export function nameOf(id) {
  const known = state.users[id];
  if (!known && !asked.has(id)) {
    asked.add(id);
    api.user(id).then((user) => dispatch({ type: "users", users: [user] }), () => {});
  }
  return known?.display_name ?? "Someone";
}

const spoken = (id, start) => (id === me.id ? (start ? "You" : "you") : nameOf(id));

export function titleOf(conv) {
  if (conv.type === "dm") return conv.peer?.display_name ?? "Deleted account";
  return conv.name || "Group";
}

/** Whose colour the avatar has: in a direct conversation it is the other person's everywhere. */
export const faceOf = (conv) => conv.peer?.id ?? conv.id;

export const textOf = (message) => {
  if (message.kind === "event") return eventText(message, spoken);
  if (message.deleted) return "This message was deleted";
  return message.withheld ? "Withheld by moderators" : message.body;
};

/** What stands for a message where another answers it: {author, text}; of one that is not loaded only that there is one. */
export function quoteOf(message) {
  if (!message.reply_to) return null;
  const found = shownOf(state, message.conv).find((one) => one.server_id === message.reply_to);
  return found ? excerpt(found) : { author: "Earlier message", text: "Show it" };
}

export const excerpt = (message) => ({ author: spoken(message.from, true), text: preview(textOf(message)) });

/** The beginning of a text on one line. */
export const preview = (text) => text.slice(0, 400).replace(/\s+/gu, " ").trim().slice(0, 160);

// --- typing ----------------------------------------------------------------------------------------

const typing = new Map();

export function startedTyping(conv, user) {
  const of = typing.get(conv) ?? new Map();
  typing.set(conv, of.set(user, Date.now() + TYPING_SHOWN_MS));
  setTimeout(changed, TYPING_SHOWN_MS + 50);
  changed();
}

export function stoppedTyping(conv, user) {
  typing.get(conv)?.delete(user);
}

/** Return "typing…", in a group with names, or null when nobody is. */
export function typistsOf(conv) {
  const now = Date.now();
  const names = [...(typing.get(conv.id) ?? [])].filter(([, until]) => until > now).map(([user]) => nameOf(user));
  if (!names.length) return null;
  return conv.type === "dm" ? "typing…" : typingText(names);
}
