/**
 * The outbox belongs to all tabs of a user, and each row in it to one of them, which sends it until it is acked. A tab holds a
 * Web Lock of its own while it lives (model.js): who gets that lock of another is the heir.
 */
import { ApiError } from "./api.js";
import { database, dispatch } from "./model.js";
import { wire } from "./sync.js";

/** How long, in ms, a page waits at most: the one before it may be let go of slowly, or the database be slow. */
const WAIT_MS = 1_000;
/** Tabs that are waited for. */
const heirTo = new Set();
/** Without locks nobody knows who is gone: a page that starts takes what there is, as a copy that is sent twice counts once. */
let taken = false;

/**
 * Take what tabs that are gone have left unsent, and what those that live have in the outbox once they are gone. The promise is
 * kept when the former is done, or after `WAIT_MS`.
 */
export const take = () => Promise.race([takeAll(), new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);

async function takeAll() {
  if (!database || (taken && !navigator.locks)) return;
  taken = true;
  const owners = new Set((await database.outbox()).map(({ tab = "" }) => tab));
  await Promise.all([...owners].filter((tab) => tab !== database.tab && !heirTo.has(tab)).map(claim));
}

async function claim(tab) {
  heirTo.add(tab);
  const begin = () => {
    heirTo.delete(tab);
    return inherit(tab);
  };
  try {
    await (navigator.locks?.request(`chat-tab-${tab}`, begin) ?? begin());
  } catch {
    // The database is gone: the user has signed out.
  }
}

async function inherit(from) {
  for (const { tab = "", ...message } of (await database?.outbox()) ?? []) {
    if (tab !== from) continue;
    await database.queue(message);
    show(message);
  }
}

function show(message) {
  const { op, conv, msg_id, status, error, refused } = message;
  if (op) dispatch({ type: "change-queued", change: message });
  else dispatch({ type: "queue", message });
  // Refused while no page was open (outbox-worker.js).
  if (status === "failed") dispatch({ type: "failed", conv, msg_id, detail: error ?? new ApiError(0, refused).message });
  else wire.deliver(message);
}
