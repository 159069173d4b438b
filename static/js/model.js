/** What this page knows and looks at: the store's state, the view, and the copy that the browser keeps. */
import { Database } from "./db.js";
import * as store from "./store.js";

const SAVE_AFTER_MS = 500;
const PAINT_MS = 100;
const LEAVE_MS = 1_000;
const ignore = () => {};

export const root = document.getElementById("app");
export const me = { id: root.dataset.user, username: root.dataset.username, display_name: root.dataset.displayName, picture: root.dataset.picture };

export let state = store.initialState(me);
export let database = null;

/**
 * `active` is the open conversation; `lineAfter` the read mark at its opening, where the line "New messages" is
 * drawn; `listError` why the list could not be loaded; `loading` and `errors` concern threads; `drafts` are what was
 * begun in each conversation; `archive` says that the list shows what was put away.
 */
export const view = { active: null, lineAfter: null, listError: null, loading: new Set(), errors: new Map(), drafts: {}, archive: false };

let painter = () => {};
let painting = false;

/** Have `paint` called soon after something changed. */
export function onChange(paint) {
  painter = paint;
}

export function changed() {
  if (painting) return;
  painting = true;
  // One painting for the screen's next picture, however many frames came in; a hidden page is given no such moment.
  const now = () => {
    if (!painting) return;
    painting = false;
    painter();
  };
  whenShown(now);
}

function whenShown(work) {
  requestAnimationFrame(work);
  setTimeout(work, PAINT_MS);
}

export function dispatch(action) {
  state = store.reduce(state, action);
  changed();
}

// --- the browser's copy ----------------------------------------------------------------------------

export async function openDatabase() {
  database = await Database.open(me.id);
  navigator.locks?.request(`chat-tab-${database.tab}`, () => new Promise(() => {})).catch(ignore);
}

/** Conversations whose messages are read at once: the page stays answerable meanwhile. */
const CHUNK = 50;
let marks = {};
let restoring = null;

/** Is kept when the state has all messages that the browser has. */
export const restored = () => restoring;

/** Take up what the browser keeps: the list, and the messages of the conversation that is open. */
export async function restore(open) {
  const [heads, messages] = await Promise.all([database.heads(), database.tails([open])]);
  ({ marks } = heads);
  dispatch({ type: "cached", ...heads, messages });
}

/** Take up the messages of all other conversations, once the list is on the screen. */
export function restoreOthers() {
  const read = async () => {
    await new Promise((resolve) => whenShown(resolve));
    const others = store.sortedConversations(state).filter((conv) => !store.threadOf(state, conv.id).loaded);
    for (let at = 0; at < others.length; at += CHUNK) {
      const messages = await database.tails(others.slice(at, at + CHUNK).map((conv) => conv.id));
      dispatch({ type: "cached", convs: [], marks, messages });
    }
  };
  restoring = read().catch(ignore);
  return restoring;
}

/**
 * Part with the browser's copy, and with the page that the service worker keeps for its user: `forget` leaves what was never
 * sent, `destroy` leaves nothing. Takes a second at most.
 */
export async function leaveDatabase(how) {
  const left = database;
  database = null;
  const gone = Promise.all([left?.[how]().catch(ignore), globalThis.caches?.delete("chat-page").catch(ignore)]);
  await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, LEAVE_MS))]);
}

/** Have `work` done once, `SAVE_AFTER_MS` after the first call, or at once where the page is left before. */
function later(work) {
  let timer = null;
  const now = () => {
    clearTimeout(timer);
    timer = null;
    if (database) work();
  };
  window.addEventListener("pagehide", () => timer && now());
  return { now, soon: () => (timer ??= setTimeout(now, SAVE_AFTER_MS)) };
}

/** Confirmed messages that are not in the database yet. */
let fresh = [];

export const { now: save, soon: saveSoon } = later(() => {
  database.putMessages(fresh, state.marks).catch(ignore);
  fresh = [];
  database.putConversations(Object.values(state.convs).filter((conv) => !conv.closed)).catch(ignore);
  database.putReceipts(state.receipts).catch(ignore);
});

/** Keep what was begun in a conversation; an empty draft is none. */
export function setDraft(conv, body) {
  const { [conv]: _old, ...rest } = view.drafts;
  view.drafts = body.trim() ? { ...rest, [conv]: body } : rest;
  try {
    database?.putDraft(conv, view.drafts[conv]);
  } catch {
    // The browser's quota is used up: the draft lives as long as the page.
  }
}

/** Keep messages that the server has confirmed. Not each at once: what is lost on the way there is asked for again. */
export function keep(found) {
  if (!database) return;
  fresh.push(...found.map(({ op, ...message }) => ({ ...message, status: "sent" })));
  saveSoon();
}

/** Forget what is kept of a conversation's messages. */
export async function dropKept(conv) {
  fresh = fresh.filter((message) => message.conv !== conv);
  await database?.dropMessages(conv).catch(ignore);
}
