/**
 * The service worker's third part: messages that were written without a connection go out once there is one, also where
 * no page is open any more (docs/decisions/0068). It is told to by the browser, which the page asked (background.js).
 *
 * They go over REST, with the `msg_id` that the page gave: where the page sends as well, the server takes one for a copy.
 */

const WAITING = "outbox";
const REST_MS = 30_000;

/** The token of whoever has signed in last: it is another with each signing in. */
async function tokenNow() {
  const held = (await self.cookieStore?.get("__Host-csrftoken")) ?? (await self.cookieStore?.get("csrftoken"));
  return held?.value;
}

const rest = (method, path, token, body) =>
  fetch(`/v1/${path}`, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json", ...(token ? { "X-CSRFToken": token } : {}) },
    body: body && JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(REST_MS),
  });

/** Return {user, token} of whoever is signed in; null for nobody, and where this browser does not let a worker know. */
async function signedIn() {
  const token = await tokenNow();
  if (!token) return null;
  const answer = await rest("GET", "me");
  if (answer.status === 401 || answer.status === 403) return null;
  if (!answer.ok) throw new Error(`${answer.status}`);
  return { user: (await answer.json()).id, token };
}

const doneOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Open what the pages of a user keep (db.js); null where they keep nothing. */
async function keptOf(user) {
  const name = `chat-${user}`;
  if (!(await indexedDB.databases()).some((one) => one.name === name)) return null;
  const request = indexedDB.open(name);
  // It was deleted in between, and is not made anew.
  request.onupgradeneeded = () => request.transaction.abort();
  const db = await doneOf(request);
  // Who signs out deletes it, and does not wait for this.
  db.onversionchange = () => db.close();
  return db;
}

const bodyOf = ({ msg_id, body, media, reply_to, forwarded_from, mentions }) => ({
  msg_id,
  body,
  ...(media?.length ? { media } : {}),
  ...(reply_to ? { reply_to } : {}),
  ...(forwarded_from ? { forwarded_from } : {}),
  ...(mentions?.length ? { mentions } : {}),
});

/** Note what became of a message, unless a page has done so: `sent` has its id and time, `refused` says why not. */
async function note(db, { msg_id }, { sent, refused }) {
  const transaction = db.transaction(["outbox", "messages"], "readwrite", { durability: "strict" });
  const [outbox, messages] = ["outbox", "messages"].map((name) => transaction.objectStore(name));
  const message = await doneOf(outbox.get(msg_id));
  if (message && refused) outbox.put({ ...message, status: "failed", refused });
  if (message && sent) {
    outbox.delete(msg_id);
    const { server_id, ts } = sent;
    // As after an `ack`: what others wrote before it may be missing here.
    if (!(await doneOf(messages.getKey(server_id)))) messages.put({ ...message, status: "sent", acked: true, server_id, ts, at: orderKey(server_id) });
  }
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
}

/**
 * Send what waits, in the order of writing. Throws where something stands in the way that passes: the browser comes back to it.
 * Changes of messages are left to the page, which says why one is refused.
 */
async function sendWaiting() {
  const who = await signedIn();
  const db = who && (await keptOf(who.user));
  if (!db) return;
  try {
    const waiting = (await doneOf(db.transaction("outbox").objectStore("outbox").getAll())).filter((one) => !one.op && one.status !== "failed");
    for (const { msg_id } of waiting.sort((a, b) => a.ts - b.ts || a.order - b.order)) {
      // Once more: it may have been sent, taken back or thrown away since.
      const message = await doneOf(db.transaction("outbox").objectStore("outbox").get(msg_id));
      if (!message || message.status === "failed") continue;
      const answer = await rest("POST", `conversations/${message.conv}/messages`, who.token, bodyOf(message));
      if (answer.ok) {
        await note(db, message, { sent: await answer.json() });
        continue;
      }
      if (answer.status === 429 || answer.status >= 500) throw new Error(`${answer.status}`);
      const refused = await answer.json();
      // Another's token is refused as well: that says nothing of the message.
      const now = await signedIn();
      if (now?.user !== who.user || now.token !== who.token) throw new Error("somebody else");
      await note(db, message, { refused });
    }
  } finally {
    db.close();
  }
}

self.addEventListener("sync", (event) => {
  if (event.tag === WAITING) event.waitUntil(sendWaiting());
});
