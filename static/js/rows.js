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
 * Return the rows of a view (see `MessageList.show`): {kind, key, ...}, `kind` being `day` or `event` (text), `new`, or
 * `message` with all that its bubble shows. `isWhole(key)` says which long texts were opened; `lineAt` is the key of the
 * message that had the line above it before: the line does not wander when earlier messages are loaded.
 */
export function rowsOf(view, isWhole, lineAt) {
  const rows = [];
  const drawn = view.messages.find((message) => keyOf(message) === lineAt && view.isUnread(message));
  const lined = drawn ?? view.messages.find(view.isUnread);
  view.messages.forEach((message, at) => {
    const previous = view.messages[at - 1];
    const key = keyOf(message);
    const text = view.textOf(message);
    if (!previous || !sameDay(previous.ts, message.ts)) {
      rows.push({ kind: "day", key: `day ${new Date(message.ts).toDateString()}`, text: dayLabel(message.ts), ts: message.ts });
    }
    const line = message === lined;
    if (line) rows.push({ kind: "new", key: "new", above: key });
    if (message.kind === "event") {
      rows.push({ kind: "event", key, text });
      return;
    }
    const out = message.from === view.me;
    const gone = Boolean(message.deleted || message.withheld);
    rows.push({
      kind: "message",
      key,
      text,
      first: line || !joins(previous, message),
      last: !joins(message, view.messages[at + 1]),
      out,
      status: out ? view.statusOf(message) : null,
      name: out ? _("You") : view.nameOf(message.from),
      is_bot: Boolean(view.isBot?.(message.from)),
      group: view.group,
      quote: gone ? null : view.quoteOf(message),
      whole: isWhole(key),
      edited: Boolean(message.edited_at) && !gone,
      gone,
      forwarded: Boolean(message.forwarded) && !gone,
      changing: Boolean(message.changing),
      mentions: gone ? [] : view.mentionsOf(message),
      toMe: !out && !gone && view.mentionsOf(message).some((one) => one.mine),
      preview: (!gone && view.previewOf?.(message)) || null,
      media: gone || !message.media?.length ? [] : view.mediaOf(message),
      reactions: (gone ? [] : (message.reactions ?? [])).map((one) => ({ ...one, names: reactors(one, view) })),
      can: message.server_id && !message.deleted ? view.mayDo(message) : [],
      message,
    });
  });
  return rows;
}
