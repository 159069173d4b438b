/** Order of wire ids. An id is opaque but for this: its last eight bytes grow with the log. */

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
export const laterId = (a, b) => (compareIds(a, b) < 0 ? b : a);
