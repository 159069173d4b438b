/** Who somebody is: what they say of themselves, when they were here as far as they let one know, and what both are in. */
import * as api from "./api-more.js";
import { avatar, el } from "./dom.js";
import { lastSeen } from "./format.js";
import { _, n } from "./i18n.js";

/** When somebody was here, in words; null where one may not know. */
export const whenSeen = (presence) => (presence?.state === "online" ? _("online") : presence?.last_seen ? lastSeen(presence.last_seen) : null);

/** Return what is shown of a profile below the names. `go(conv)` opens a group. */
export function aboutOf({ about, groups }, go) {
  const group = ({ id, name, members_count, picture }) =>
    el(
      "li",
      {},
      el(
        "button",
        { className: "person", type: "button", onclick: () => go(id) },
        avatar(id, name || _("Group"), false, picture),
        el("span", { className: "person-text" }, el("span", { dir: "auto" }, name || _("Group")), el("small", {}, n("{count} member", "{count} members", members_count))),
      ),
    );
  return [
    about ? el("p", { className: "about", dir: "auto" }, about) : null,
    groups.length ? el("section", { className: "common", "aria-label": _("Groups in common") }, el("h3", {}, n("{count} group in common", "{count} groups in common", groups.length)), el("ul", { className: "people" }, ...groups.map(group))) : null,
  ].filter(Boolean);
}

/** Fill `place` with somebody's profile, where it can be had; `fits()` says whether it is still wanted. Returns the profile, or null. */
export async function fill(place, user, go, fits) {
  try {
    const found = await api.profile(user);
    if (!fits()) return null;
    place.replaceChildren(...aboutOf(found, go));
    return found;
  } catch {
    // What is there without it is shown already.
    return null;
  }
}
