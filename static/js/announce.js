/** Says to screen readers that something came in a conversation that is not open; the open one is a log, and says so itself. */
import { Digest, sentence } from "./digest.js";
import { el } from "./dom.js";
import { compareIds } from "./ids.js";
import { state, view } from "./model.js";
import { nameOf, titleOf } from "./names.js";
import { isBlocked, isMuted, isUnread } from "./store.js";
import { events } from "./sync.js";

const region = el("p", { className: "visually-hidden", role: "status", id: "news" });
/** Conversation -> the newest message that was counted: one may come twice. */
const counted = new Map();

/** Not what was read meanwhile, here or on another device. */
const heard = (conv) => conv && conv.id !== view.active && conv.unread_count > 0 && !isMuted(conv, Date.now()) && !isBlocked(state, conv);

const digest = new Digest((came) => {
  const rows = [...came]
    .map(([id, { from, count }]) => ({ conv: state.convs[id], from, count }))
    .filter(({ conv }) => heard(conv))
    .map(({ conv, from, count }) => ({ title: titleOf(conv), from: conv.type === "dm" ? null : nameOf(from), count }));
  region.textContent = rows.length ? sentence(rows) : "";
});

function came(message) {
  const { conv, from, server_id: id } = message;
  // A page that nobody looks at has notifications.
  if (document.visibilityState === "hidden" || conv === view.active) return;
  if (!isUnread(state, message, state.convs[conv]?.last_read) || compareIds(id, counted.get(conv)) <= 0) return;
  counted.set(conv, id);
  nameOf(from);
  digest.add(conv, from);
}

export function begin() {
  document.body.append(region);
  events.addEventListener("came", ({ detail }) => came(detail));
}
