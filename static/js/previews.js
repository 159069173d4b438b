/** What is behind the links of messages, as the server has found it. Loaded when there is nothing else to do. */
import * as api from "./api.js";
import { el, style } from "./dom.js";
import { changed, root, state } from "./model.js";
import { extras, menu, toast } from "./page.js";
import { shownOf } from "./store.js";
import { events } from "./sync.js";

const AT_ONCE = 100;
const SOON_MS = 50;
/** A link that was just sent is looked at by then, or later, or not at all. */
const AGAIN_MS = [1_500, 4_000, 10_000];
const FRESH_MS = 60_000;
/** Messages whose previews are remembered. */
const MOST = 2_000;
const LINK = /\bhttps?:\/\/[^\s<>\x22\x27\x60]+/iu;

/** A message with its link -> what there is, null for nothing (yet). */
const known = new Map();
let wanted = new Map();

const keyOf = (message, link) => `${message.server_id} ${link}`;

/** Return what a message shows, with `place(node)` that puts it into the message's element; null for nothing. */
function previewOf(message) {
  const link = message.server_id && !state.convs[message.conv]?.encrypted && LINK.exec(message.body ?? "")?.[0];
  if (!link) return null;
  const key = keyOf(message, link);
  if (!known.has(key)) {
    known.set(key, null);
    if (known.size > MOST) known.delete(known.keys().next().value);
    want(key, message, 0);
  }
  return known.get(key);
}

function want(key, message, tries) {
  if (!wanted.size) setTimeout(ask, SOON_MS);
  wanted.set(key, { message, tries });
}

async function ask() {
  const all = [...wanted];
  wanted = new Map();
  for (let at = 0; at < all.length; at += AT_ONCE) await askFor(all.slice(at, at + AT_ONCE));
}

async function askFor(some) {
  try {
    const { results } = await api.call("GET", `previews?${new URLSearchParams(some.map(([, { message }]) => ["message", message.server_id]))}`);
    const found = new Map(results.map((one) => [one.message, one]));
    for (const [key, { message, tries }] of some) {
      const one = found.get(message.server_id);
      known.set(key, one ? { ...one, place: (node) => node.querySelector(".text").before(card(one)) } : null);
      if (!one && tries < AGAIN_MS.length && Date.now() - (message.edited_at ?? message.ts) < FRESH_MS) setTimeout(() => want(key, message, tries + 1), AGAIN_MS[tries]);
    }
    changed();
  } catch {
    // Asked for again when the message is painted the next time.
    for (const [key] of some) known.delete(key);
  }
}

function card({ message, url, host, title, description, image }) {
  const picture = image ? el("img", { src: `/v1/messages/${message}/preview/image`, alt: "", loading: "lazy", onerror: (event) => event.target.remove() }) : null;
  const text = el("span", { className: "preview-text" }, el("strong", { dir: "auto" }, title), description ? el("span", { dir: "auto" }, description) : null, el("small", { dir: "ltr" }, host));
  return el("a", { className: image || description ? "preview-card" : "preview-card brief", href: /^https?:/iu.test(url) ? url : null, target: "_blank", rel: "noopener noreferrer" }, picture, text);
}

/** Something has changed: ask again for what is shown of a conversation. */
function refresh(conv) {
  for (const message of shownOf(state, conv)) {
    const link = message.server_id && LINK.exec(message.body ?? "")?.[0];
    if (link && known.has(keyOf(message, link))) want(keyOf(message, link), message, 0);
  }
}

async function remove(message) {
  try {
    await api.call("DELETE", `messages/${message.server_id}/preview`);
  } catch (error) {
    toast(error.message);
    return;
  }
  refresh(message.conv);
}

export async function begin() {
  if (root.dataset.previews === undefined) return;
  await style("previews");
  extras.previewOf = previewOf;
  events.addEventListener("previews", ({ detail }) => refresh(detail.conv));
  menu.addEventListener("unpreview", ({ detail }) => remove(detail.message));
  changed();
}
