/** Times to choose from for what is to be said later, by the reader's clock. Pure but for the reader's language. */
import { _ } from "./i18n.js";

const MORNING = 9;
const EVENING = 20;

/** The names of all that `presets` may return. */
export const NAMES = ["hour", "tonight", "tomorrow", "monday"];

/** `now` at so many o'clock, so many days on. Days, not hours: the clocks may be changed in between. */
function at(now, days, hour) {
  const day = new Date(now);
  day.setDate(day.getDate() + days);
  day.setHours(hour, 0, 0, 0);
  return day;
}

/** Return the times that make sense at `now` (a Date): {name, words, at} each, `name` being one of NAMES. */
export function presets(now) {
  const hour = new Date(Math.ceil((now.getTime() + 3_600_000) / 60_000) * 60_000);
  const toMonday = (8 - now.getDay()) % 7 || 7;
  return [
    { name: "hour", words: _("In an hour"), at: hour },
    ...(now.getHours() < EVENING - 1 ? [{ name: "tonight", words: _("Tonight"), at: at(now, 0, EVENING) }] : []),
    { name: "tomorrow", words: _("Tomorrow morning"), at: at(now, 1, MORNING) },
    ...(toMonday > 1 ? [{ name: "monday", words: _("Monday"), at: at(now, toMonday, MORNING) }] : []),
  ];
}

/** Return a Date as a `datetime-local` field has it. */
export function fieldValue(date) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** Return what a `datetime-local` field says, as a Date; null for nothing. */
export const fromField = (value) => (value ? new Date(value) : null);
