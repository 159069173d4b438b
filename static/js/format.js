/** Times and sentences. Pure but for the reader's language and locale. */
import { _, listed, locale, n } from "./i18n.js";

const CLOCK = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const MOMENT = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const WEEKDAY = new Intl.DateTimeFormat(locale, { weekday: "long" });
const SHORT_DAY = new Intl.DateTimeFormat(locale, { weekday: "short" });
const DATE = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" });
const SHORT_DATE = new Intl.DateTimeFormat(locale, { day: "2-digit", month: "2-digit", year: "2-digit" });

/** The day that was asked for last, in ms: most questions are about the same one, of thousands of messages. */
let [dawn, dusk] = [0, 0];

/** Return when the day of a time began. */
function midnight(ts) {
  if (!(ts >= dawn && ts < dusk)) {
    const day = new Date(ts);
    dawn = day.setHours(0, 0, 0, 0);
    dusk = day.setDate(day.getDate() + 1);
  }
  return dawn;
}

const daysAgo = (ts, now) => Math.round((midnight(now) - midnight(ts)) / 86_400_000);

export const clock = (ts) => CLOCK.format(ts);
export const moment = (ts) => MOMENT.format(ts);
/** A span in words: of days where it is whole days. */
export const span = (seconds) => {
  const [size, unit] = [[31_536_000, "year"], [86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]].find(([one]) => seconds % one === 0);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
};
export const sameDay = (a, b) => midnight(a) === midnight(b);

export function dayLabel(ts, now = Date.now()) {
  const days = daysAgo(ts, now);
  if (days <= 0) return _("Today");
  if (days === 1) return _("Yesterday");
  return days < 7 ? WEEKDAY.format(ts) : DATE.format(ts);
}

export function listTime(ts, now = Date.now()) {
  const days = daysAgo(ts, now);
  if (days <= 0) return clock(ts);
  if (days === 1) return _("Yesterday");
  return days < 7 ? SHORT_DAY.format(ts) : SHORT_DATE.format(ts);
}

export function lastSeen(ts, now = Date.now()) {
  const minutes = Math.floor((now - ts) / 60_000);
  if (minutes < 1) return _("last seen just now");
  if (minutes < 60) return n("last seen {count} min ago", "last seen {count} min ago", minutes);
  const days = daysAgo(ts, now);
  if (days <= 0) return _("last seen today at {time}", { time: clock(ts) });
  if (days === 1) return _("last seen yesterday at {time}", { time: clock(ts) });
  return _("last seen {date}", { date: DATE.format(ts) });
}

/** Tell an event message as a sentence; `nameOf(user, start)` says "You"/"you" for the reader, whose id is `me`. */
export function eventText(message, nameOf, me) {
  const event = message.event ?? {};
  const mine = message.from === me;
  const who = nameOf(message.from, true);
  const users = (event.users ?? []).filter((one) => one !== message.from);
  const toMe = users.length === 1 && users[0] === me;
  const others = listed(users.map((one) => nameOf(one, false)));
  const name = event.name ?? "";
  switch (event.type) {
    case "created":
      if (name) return mine ? _("You created the group “{name}”", { name }) : _("{who} created the group “{name}”", { who, name });
      return mine ? _("You started the conversation") : _("{who} started the conversation", { who });
    case "member_added":
      // By a link, and nobody else's act.
      if (!others) return mine ? _("You joined") : _("{who} joined", { who });
      if (toMe) return _("{who} added you", { who });
      return mine ? _("You added {others}", { others }) : _("{who} added {others}", { who, others });
    case "member_removed":
      if (toMe) return _("{who} removed you", { who });
      return mine ? _("You removed {others}", { others }) : _("{who} removed {others}", { who, others });
    case "member_left": {
      const left = event.users?.[0] ?? message.from;
      return left === me ? _("You left") : _("{who} left", { who: nameOf(left, true) });
    }
    case "role_changed":
      return roleText(event.role, { who, others: others || nameOf(message.from, false) }, mine, toMe);
    case "renamed":
      return mine ? _("You renamed the group to “{name}”", { name }) : _("{who} renamed the group to “{name}”", { who, name });
    case "picture_set":
      return mine ? _("You changed the group's picture") : _("{who} changed the group's picture", { who });
    case "timer_set":
      if (!event.timer_s) return mine ? _("You set messages not to disappear") : _("{who} set messages not to disappear", { who });
      return mine ? _("You set messages to disappear after {span}", { span: span(event.timer_s) }) : _("{who} set messages to disappear after {span}", { who, span: span(event.timer_s) });
    default:
      return _("The group changed");
  }
}

/** Languages have these in one case or another, and the verb with it. */
function roleText(role, names, mine, toMe) {
  if (role === "member") return toMe ? _("{who} made you a member", names) : mine ? _("You made {others} a member", names) : _("{who} made {others} a member", names);
  if (role === "admin") return toMe ? _("{who} made you an admin", names) : mine ? _("You made {others} an admin", names) : _("{who} made {others} an admin", names);
  return toMe ? _("{who} made you the owner", names) : mine ? _("You made {others} the owner", names) : _("{who} made {others} the owner", names);
}

/** “Ann is typing…”, “Ann and Bob are typing…”. */
export function typingText(names) {
  if (names.length > 2) return n("{count} person is typing…", "{count} people are typing…", names.length);
  return n("{names} is typing…", "{names} are typing…", names.length, { names: listed(names) });
}

const UNITS = ["B", "KB", "MB", "GB"];

/** "640 B", "12.4 MB". */
export function bytes(size) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(size, 1)) / Math.log(1024)));
  const value = size / 1024 ** power;
  return `${value.toLocaleString(locale, { maximumFractionDigits: power && value < 100 ? 1 : 0 })} ${UNITS[power]}`;
}

/** "0:07", "12:30". */
export const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
