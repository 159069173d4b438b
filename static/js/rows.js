/** What a thread's list consists of: days, the line above what is new, events and messages in groups. */
import { dayLabel, sameDay } from "./format.js";
import { _, n, listed } from "./i18n.js";

const GROUP_MS = 5 * 60_000;

/** Who reacted, in words: "You, Ann and 3 more". */
function reactors({ count, mine, users }, view) {
  const others = users.filter((user) => user !== view.me).map(view.nameOf);
  const named = [...(mine ? [_("You")] : []), ...others].slice(0, count);
  const rest = count - named.length;
  if (rest > 0) named.push(n("{count} more", "{count} more", rest));
  return listed(named);
}

export const keyOf = (message) => message.msg_id ?? message.server_id;

const joins = (a, b) =>
  a && b && a.kind !== "event" && b.kind !== "event" && a.from === b.from && b.ts - a.ts < GROUP_MS && sameDay(a.ts, b.ts);

/**
 * Return what a thread's list consists of, without what costs more than a look at each message: {kind, key, day, …}, `kind`
 * being `day` (ts), `new` (above), or, with the `message` and its place `at` among all, `event` or `message` (first, last: in
 * its group). `day` is the key of the day that a row is of. `isUnread(message)` is null where nothing is; `lineAt` is the key
 * of the message that had the line above it before: the line does not wander when earlier messages are loaded.
 */
export function outlineOf(messages, isUnread, lineAt) {
  const rows = [];
  const days = new Set();
  const drawn = isUnread && messages.find((message) => keyOf(message) === lineAt && isUnread(message));
  const lined = drawn || (isUnread && messages.find(isUnread));
  let day = null;
  messages.forEach((message, at) => {
    const previous = messages[at - 1];
    const key = keyOf(message);
    if (!previous || !sameDay(previous.ts, message.ts)) {
      day = `day ${new Date(message.ts).toDateString()}`;
      // Two servers' clocks may differ at midnight.
      while (days.has(day)) day += "'";
      days.add(day);
      rows.push({ kind: "day", key: day, day, ts: message.ts });
    }
    const line = message === lined;
    if (line) rows.push({ kind: "new", key: "new", day, above: key });
    if (message.kind === "event") rows.push({ kind: "event", key, day, message, at });
    else rows.push({ kind: "message", key, day, message, at, first: line || !joins(previous, message), last: !joins(message, messages[at + 1]) });
  });
  return rows;
}

/** Return a row of the outline with all that is shown of it in a view (see `MessageList.show`). `isWhole(key)` says which long texts were opened. */
export function rowOf(row, view, isWhole) {
  const { kind, key, message } = row;
  if (kind === "day") return { ...row, text: dayLabel(row.ts) };
  if (kind === "new") return row;
  const text = view.textOf(message);
  if (kind === "event") return { kind, key, text };
  const out = message.from === view.me;
  const author = view.userOf?.(message.from);
  const gone = Boolean(message.deleted || message.withheld);
  const mentions = gone ? [] : view.mentionsOf(message);
  return {
    kind,
    key,
    text,
    first: row.first,
    last: row.last,
    out,
    status: out ? view.statusOf(message) : null,
    name: out ? _("You") : view.nameOf(message.from),
    is_bot: Boolean(author?.is_bot),
    picture: author?.picture,
    group: view.group,
    quote: gone ? null : view.quoteOf(message),
    whole: isWhole(key),
    edited: Boolean(message.edited_at) && !gone,
    gone,
    forwarded: Boolean(message.forwarded) && !gone,
    changing: Boolean(message.changing),
    mentions,
    toMe: !out && mentions.some((one) => one.mine),
    preview: (!gone && view.previewOf?.(message)) || null,
    media: gone || !message.media?.length ? [] : view.mediaOf(message),
    reactions: (gone ? [] : (message.reactions ?? [])).map((one) => ({ ...one, names: reactors(one, view) })),
    can: message.server_id && !message.deleted ? view.mayDo(message) : [],
    message,
  };
}
