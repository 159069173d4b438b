/**
 * Edits, deletions and reactions of a message, and what moderators decide about it. Pure.
 *
 * A message is as of some place in its conversation's order (`as_of`): of the changes up to there it has all in it, and only
 * newer ones do anything to it. So what comes twice, or late, is harmless.
 */
import { compareIds } from "./ids.js";

const GONE = { body: "", media: [], reply_to: null, edited_at: null, deleted: true, forwarded: false, reactions: [], mentions: [], withheld: false };

const WITHHELD = { body: "", media: [], reply_to: null, edited_at: null, forwarded: false, mentions: [], withheld: true };
/** What a message is when it is given back, but for what the change says. */
const GIVEN_BACK = { ...WITHHELD, withheld: false };

const asOf = (message) => message.as_of ?? message.server_id;

/** Return the newer of two copies of a message, as far as changes go. */
export const newer = (held, copy) => (compareIds(asOf(held), asOf(copy)) > 0 ? held : copy);

/** Of the fields of a message those that changes make. */
export const changeable = ({ body, media, reply_to, edited_at, deleted, forwarded, reactions, mentions, withheld, as_of }) => ({ body, media, reply_to, edited_at, deleted, forwarded, reactions, mentions, withheld, as_of });

function withReaction(message, { emoji, on, count, from }, me) {
  const before = message.reactions ?? [];
  const held = before.find((one) => one.emoji === emoji) ?? { emoji, count: 0, mine: false, users: [] };
  const users = [...held.users.filter((user) => user !== from), ...(on ? [from] : [])];
  const now = { emoji, count, mine: from === me ? on : held.mine, users };
  // One keeps its place while it has any.
  const rest = before.some((one) => one.emoji === emoji) ? before.map((one) => (one.emoji === emoji ? now : one)) : [...before, now];
  return { ...message, reactions: rest.filter((one) => one.count > 0) };
}

/** Return the message after a change that the server told of; `me` is the reader's id. */
export function fold(message, change, me) {
  if (compareIds(change.server_id, asOf(message)) <= 0) return message;
  const next = { ...message, as_of: change.server_id };
  if (message.deleted) return next;
  if (change.op === "edit") return { ...next, body: change.body ?? "", mentions: change.mentions ?? [], edited_at: change.ts };
  if (change.op === "delete") return { ...next, ...GONE };
  if (change.op === "takedown") return { ...next, ...WITHHELD };
  if (change.op === "pin") return next;
  if (change.op === "restore") {
    const { body, media, reply_to, edited_at, forwarded, mentions } = { ...GIVEN_BACK, ...change };
    return { ...next, body, media, reply_to, edited_at, forwarded, mentions, withheld: false };
  }
  return withReaction(next, { on: false, count: 0, ...change }, me);
}

/**
 * Return what is pinned in a conversation after a change: {message, by, ts} each, the newest pin first. `message` is the
 * target where it is held here; without it a new pin is left to whoever reads the list again.
 */
export function repin(pins, change, message, me) {
  if (change.op !== "pin") {
    const folded = pins.map((one) => (one.message.server_id === change.target ? { ...one, message: fold(one.message, change, me) } : one));
    return folded.filter((one) => !one.message.deleted && !one.message.withheld);
  }
  const rest = pins.filter((one) => one.message.server_id !== change.target);
  return change.on && message ? [{ message, by: change.from ?? me, ts: change.ts }, ...rest] : rest;
}

/** Return the message as its reader wants it: with the changes that are on their way. */
export function overlay(message, pending, me) {
  let shown = message;
  for (const change of pending) {
    if (shown.deleted) break;
    if (shown.withheld && change.op !== "delete") continue;
    if (change.op === "edit") shown = { ...shown, body: change.body, mentions: change.mentions ?? [], edited_at: change.ts, changing: true };
    if (change.op === "delete") shown = { ...shown, ...GONE, changing: true };
    if (change.op === "react") {
      const held = shown.reactions?.find((one) => one.emoji === change.emoji);
      const by = Number(change.on) - Number(held?.mine ?? false);
      shown = withReaction(shown, { ...change, from: me, count: (held?.count ?? 0) + by }, me);
    }
  }
  return shown;
}

