/**
 * Drafts on all of one's devices: what is begun here goes to the server a moment later, and what was begun elsewhere comes
 * from there. What this browser and the server agreed on last is remembered, so that it is known who has changed it since.
 */
import * as api from "./api-more.js";
import { changed, me, setDraft, state, view } from "./model.js";

const AFTER_MS = 800;
/** What could not be kept is tried again after this. */
const AGAIN_MS = 5_000;
const KEY = `chat-drafts-agreed:${me.id}`;

let onTaken = () => {};
const timers = new Map();

function agreed() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function agree(conv, body) {
  const { [conv]: _before, ...rest } = agreed();
  try {
    localStorage.setItem(KEY, JSON.stringify(body ? { ...rest, [conv]: body } : rest));
  } catch {
    // The quota is used up: the next visit asks again.
  }
}

const here = (conv) => view.drafts[conv] ?? "";
const changedHere = (conv) => timers.has(conv) || here(conv) !== (agreed()[conv] ?? "");

/** Something was written or taken back in a conversation: have the other devices know soon. */
export function written(conv) {
  if (!conv || state.convs[conv]?.encrypted) return;
  clearTimeout(timers.get(conv));
  timers.set(conv, setTimeout(() => send(conv), AFTER_MS));
}

async function send(conv) {
  timers.delete(conv);
  const body = here(conv);
  if (body === (agreed()[conv] ?? "")) return;
  try {
    await api.keepDraft(conv, body);
    agree(conv, body);
  } catch (error) {
    // It is kept in this browser. No connection, too many requests or a server in trouble pass; a refusal does not.
    const passes = error.status === 0 || error.status === 429 || error.status >= 500;
    if (passes && !timers.has(conv)) timers.set(conv, setTimeout(() => send(conv), AGAIN_MS));
  }
}

/** Take what another device has left, unless something was changed here since. */
function take(conv, body) {
  if (changedHere(conv)) return;
  agree(conv, body);
  if (here(conv) === body) return;
  setDraft(conv, body);
  onTaken(conv, body);
  changed();
}

/** Another device of one's own has changed its draft there. */
export async function look(conv) {
  try {
    take(conv, (await api.draft(conv)).body);
  } catch {
    // The next connection asks for all.
  }
}

/** Bring this browser and the server into step; `taken(conv, body)` is called for what came from there. */
export async function begin(taken) {
  onTaken = taken;
  try {
    const { results } = await api.drafts();
    const there = Object.fromEntries(results.map((one) => [one.conversation, one.body]));
    for (const conv of new Set([...Object.keys(there), ...Object.keys(agreed()), ...Object.keys(view.drafts)])) {
      if (!changedHere(conv)) take(conv, there[conv] ?? "");
      else if (!timers.has(conv) && !state.convs[conv]?.encrypted) await send(conv);
    }
  } catch {
    // The next connection asks again.
  }
}
