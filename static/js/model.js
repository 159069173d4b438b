/** What this page knows and looks at: the store's state, the view, and the copy that the browser keeps. */
import { Database } from "./db.js";
import * as store from "./store.js";

const SAVE_AFTER_MS = 500;

export const root = document.getElementById("app");
export const me = { id: root.dataset.user, username: root.dataset.username, display_name: root.dataset.displayName };

export let state = store.initialState(me);
export let database = null;

/**
 * `active` is the open conversation; `lineAfter` the read mark at its opening, where the line "New messages" is
 * drawn; `listError` why the list could not be loaded; `loading` and `errors` concern threads.
 */
export const view = { active: null, lineAfter: null, listError: null, loading: new Set(), errors: new Map() };

let painter = () => {};
let painting = false;

/** Have `paint` called once after each turn in which something changed. */
export function onChange(paint) {
  painter = paint;
}

export function changed() {
  if (painting) return;
  painting = true;
  // One painting a turn, however many frames came in; a hidden page gets no animation frames.
  queueMicrotask(() => {
    painting = false;
    painter();
  });
}

export function dispatch(action) {
  state = store.reduce(state, action);
  changed();
}

// --- the browser's copy ----------------------------------------------------------------------------

export async function openDatabase() {
  database = await Database.open(me.id);
}

let saving = null;

export function saveSoon() {
  if (database && !saving) saving = setTimeout(save, SAVE_AFTER_MS);
}

export function save() {
  clearTimeout(saving);
  saving = null;
  database?.putConversations(Object.values(state.convs)).catch(() => {});
  database?.putReceipts(state.receipts).catch(() => {});
}

/** Keep messages that the server has confirmed. */
export function keep(found) {
  if (found.length) database?.putMessages(found.map(({ op, ...message }) => ({ ...message, status: "sent" }))).catch(() => {});
  saveSoon();
}
