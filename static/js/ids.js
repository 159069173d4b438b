/**
 * Order of wire ids, and marks of them. An id is opaque but for this: its last eight bytes grow with the log, and say
 * which chain of its conversation it is in. A mark is the newest id that is held of each chain, with commas between.
 */

const keys = new Map();

/** Return a string that sorts as the message does within its conversation. */
export function orderKey(serverId) {
  let key = keys.get(serverId);
  if (key === undefined) {
    const text = serverId.slice(2).replaceAll("-", "+").replaceAll("_", "/");
    const raw = atob(text.padEnd(Math.ceil(text.length / 4) * 4, "="));
    key = "";
    for (let i = raw.length - 8; i < raw.length; i += 1) key += raw.charCodeAt(i).toString(16).padStart(2, "0");
    if (keys.size > 50_000) keys.clear();
    keys.set(serverId, key);
  }
  return key;
}

/** Negative when `a` comes before `b`; an absent id comes before all. */
export function compareIds(a, b) {
  const left = a ? orderKey(a) : "";
  const right = b ? orderKey(b) : "";
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Return the later of two ids. */
export const laterId = (a, b) => (!a || compareIds(a, b) < 0 ? b : a);

/** Return the number of the chain that an id is in: 0, but for what is said in a hot conversation. */
export const chainOf = (serverId) => (Number.parseInt(orderKey(serverId).slice(-6), 16) >> 17) & 31;

const idsOf = (mark) => (mark ? mark.split(",") : []);

/** Return what a mark says of the chain that an id is in. */
export const inMark = (mark, serverId) => idsOf(mark).find((one) => chainOf(one) === chainOf(serverId));

/** Is an id, or all that another mark covers, covered by a mark? */
export const covers = (mark, other) => idsOf(other).every((one) => compareIds(one, inMark(mark, one)) <= 0);

/** Return the mark that covers what either of two does. */
export function joinMarks(a, b) {
  if (covers(a, b)) return a;
  const newest = new Map();
  for (const one of [...idsOf(a), ...idsOf(b)]) newest.set(chainOf(one), laterId(newest.get(chainOf(one)), one));
  return [...newest].sort(([left], [right]) => left - right).map(([, one]) => one).join();
}
