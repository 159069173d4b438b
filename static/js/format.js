/** Times and sentences. Pure but for the reader's locale. */

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const SHORT_DATE = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "2-digit", year: "2-digit" });

const midnight = (ts) => new Date(ts).setHours(0, 0, 0, 0);
const daysAgo = (ts, now) => Math.round((midnight(now) - midnight(ts)) / 86_400_000);

export const clock = (ts) => CLOCK.format(ts);
export const moment = (ts) => MOMENT.format(ts);
export const counted = (count, thing, things = `${thing}s`) => `${count.toLocaleString()} ${count === 1 ? thing : things}`;
/** A span in words: of days where it is whole days. */
export const span = (seconds) => {
  for (const [unit, thing] of [[31_536_000, "year"], [86_400, "day"], [3_600, "hour"], [60, "minute"]]) {
    if (seconds % unit === 0) return counted(seconds / unit, thing);
  }
  return counted(seconds, "second");
};
export const sameDay = (a, b) => midnight(a) === midnight(b);

export function dayLabel(ts, now = Date.now()) {
  const days = daysAgo(ts, now);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 7 ? WEEKDAY.format(ts) : DATE.format(ts);
}

export function listTime(ts, now = Date.now()) {
  const days = daysAgo(ts, now);
  if (days <= 0) return clock(ts);
  if (days === 1) return "Yesterday";
  return days < 7 ? SHORT_DAY.format(ts) : SHORT_DATE.format(ts);
}

export function lastSeen(ts, now = Date.now()) {
  const minutes = Math.floor((now - ts) / 60_000);
  if (minutes < 1) return "last seen just now";
  if (minutes < 60) return `last seen ${minutes} min ago`;
  const days = daysAgo(ts, now);
  if (days <= 0) return `last seen today at ${clock(ts)}`;
  if (days === 1) return `last seen yesterday at ${clock(ts)}`;
  return `last seen ${DATE.format(ts)}`;
}

const list = (names) => new Intl.ListFormat("en", { type: "conjunction" }).format(names);

/** Tell an event message as a sentence; `nameOf(user, start)` says "You"/"you" for the reader. */
export function eventText(message, nameOf) {
  const event = message.event ?? {};
  const who = nameOf(message.from, true);
  const others = list((event.users ?? []).filter((one) => one !== message.from).map((one) => nameOf(one, false)));
  switch (event.type) {
    case "created":
      return event.name ? `${who} created the group “${event.name}”` : `${who} started the conversation`;
    case "member_added":
      // By a link, and nobody else's act.
      if (!others) return `${who} joined`;
      return `${who} added ${others}`;
    case "member_removed":
      return `${who} removed ${others}`;
    case "member_left":
      return `${nameOf(event.users?.[0] ?? message.from, true)} left`;
    case "role_changed":
      return `${who} made ${others || nameOf(message.from, false)} ${event.role === "member" ? "a member" : event.role === "admin" ? "an admin" : "the owner"}`;
    case "renamed":
      return `${who} renamed the group to “${event.name ?? ""}”`;
    case "picture_set":
      return `${who} changed the group's picture`;
    case "timer_set":
      return event.timer_s ? `${who} set messages to disappear after ${span(event.timer_s)}` : `${who} set messages not to disappear`;
    default:
      return "The group changed";
  }
}

/** “Ann is typing…”, “Ann and Bob are typing…”. */
export function typingText(names) {
  if (names.length > 2) return `${names.length} people are typing…`;
  return `${list(names)} ${names.length === 1 ? "is" : "are"} typing…`;
}

const UNITS = ["B", "KB", "MB", "GB"];

/** "640 B", "12.4 MB". */
export function bytes(size) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(size, 1)) / Math.log(1024)));
  const value = size / 1024 ** power;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: power && value < 100 ? 1 : 0 })} ${UNITS[power]}`;
}

/** "0:07", "12:30". */
export const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
