/** Who and what, in words: names, titles, the text of a message, who is typing. */
import * as api from "./api.js";
import { eventText, typingText } from "./format.js";
import { _ } from "./i18n.js";
import { ALL, mentionsIn } from "./mentions.js";
import { plainText } from "./markdown.js";
import { mediaOf, wordsFor } from "./media.js";
import { changed, dispatch, me, state } from "./model.js";
import { messageIn, shownOf, threadOf } from "./store.js";

/** Of a longer text the beginning says what it is about. */
const SUMMARY_CHARS = 2_000;
const TYPING_SHOWN_MS = 5_000;
/** As the server has it, unless it says otherwise. */
const MOST_MENTIONS = 50;

const asked = new Set();

/** Return a person's name; one that is not known yet is asked for, and "Someone" until then. */
export function nameOf(id) {
  const known = state.users[id];
  if (!known && !asked.has(id)) {
    asked.add(id);
    api.user(id).then((user) => dispatch({ type: "users", users: [user] }), () => {});
  }
  return known?.display_name ?? _("Someone");
}

const spoken = (id, start) => (id === me.id ? (start ? _("You") : _("you")) : nameOf(id));

export function titleOf(conv) {
  if (conv.type === "dm") return conv.peer?.display_name ?? _("Deleted account");
  return conv.name || _("Group");
}

/** Whose colour the avatar has: in a direct conversation it is the other person's everywhere. */
export const faceOf = (conv) => conv.peer?.id ?? conv.id;

/** The picture of the same. */
export const pictureOf = (conv) => conv.peer?.picture ?? conv.picture;

export const textOf = (message) => {
  if (message.kind === "event") return eventText(message, spoken, me.id);
  if (message.deleted) return _("This message was deleted");
  if (message.withheld) return _("Withheld by moderators");
  return state.convs[message.conv]?.encrypted ? _("Encrypted message") : message.body;
};

/** A message on one line: its text without its markers, or else what its files are. */
export const summaryOf = (message) => plainText(textOf(message).slice(0, SUMMARY_CHARS)) || wordsFor(mediaOf(message)) || "";

/** What stands for a message where another answers it: {author, text}; of one that is not loaded only that there is one. */
export function quoteOf(message) {
  if (!message.reply_to) return null;
  const found = messageIn(shownOf(state, message.conv), message.reply_to) ?? state.aside.find((one) => one.server_id === message.reply_to);
  return found ? excerpt(found) : { author: _("Earlier message"), text: _("Show it") };
}

export const excerpt = (message) => ({ author: spoken(message.from, true), text: preview(summaryOf(message)) });

/** The beginning of a text on one line. */
export const preview = (text) => text.slice(0, 400).replace(/\s+/gu, " ").trim().slice(0, 160);

// --- mentions --------------------------------------------------------------------------------------

/** May one mention all at once here? In a large group, whose members are not all known here, only who moderates it. */
const mayMentionAll = (conv) => conv.type === "group" && (Boolean(conv.members) || ["owner", "admin"].includes(conv.role));

/** Of large groups, whose members are not all known here: those that were looked for by name, by conversation and id. */
const sought = new Map();
/** What was looked for already, by conversation. */
const queries = new Map();

/** The people of a conversation that are known here: its members, or, of a large group, who has written or was looked for. */
function peopleOf(conv) {
  const some = () => {
    const authors = threadOf(state, conv.id).messages.map((one) => state.users[one.from]);
    return [...new Map([...authors, ...(sought.get(conv.id)?.values() ?? [])].filter(Boolean).map((one) => [one.id, one])).values()];
  };
  return (conv.members ?? some()).filter((one) => one?.username);
}

/** Look for members of a large group by the beginning of a name; return whether there are some that were not known. */
export async function lookForMembers(conv, text) {
  const before = queries.get(conv?.id) ?? new Set();
  if (!conv || conv.members || before.has(text)) return false;
  queries.set(conv.id, before.add(text));
  const known = sought.get(conv.id) ?? new Map();
  try {
    const { results } = await api.membersNamed(conv.id, text);
    const fresh = results.filter((one) => !known.has(one.id));
    for (const one of fresh) known.set(one.id, one);
    sought.set(conv.id, known);
    return fresh.length > 0;
  } catch {
    before.delete(text);
    return false;
  }
}

/** Whom one can mention in a conversation: {id, username, name, picture}. */
export function mentionable(conv) {
  const people = peopleOf(conv).filter((one) => one.id !== me.id).map((one) => ({ id: one.id, username: one.username, name: one.display_name, picture: one.picture }));
  return mayMentionAll(conv) ? [...people, { id: ALL, username: ALL, name: _("Everybody here") }] : people;
}

/** Return the ids that go out with a text. */
export const mentionsOfText = (conv, text) => (conv ? mentionsIn(text, peopleOf(conv), mayMentionAll(conv), MOST_MENTIONS) : []);

/** Whom a message mentions: {id, username, name, mine}; the name of somebody unknown comes later. */
export const mentionsOf = (message) =>
  (message.mentions ?? []).map((id) =>
    id === ALL
      ? { id, name: _("Everybody here"), mine: message.from !== me.id }
      : { id, username: state.users[id]?.username, name: nameOf(id), mine: id === me.id },
  );

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
  return conv.type === "dm" ? _("typing…") : typingText(names);
}
