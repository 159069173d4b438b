/**
 * IndexedDB, one database a user: the outbox must survive a reload, the rest makes the first paint quick. Drafts are in
 * localStorage: it writes at once, while a page that is being left may not see the end of a transaction.
 */
import { orderKey } from "./ids.js";

const KEEP = 60;
/** The layout of what is kept. 2: messages are in the order of their ids, which several of one millisecond have as well. */
const VERSION = 2;

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });

/** The newest messages of a conversation. Not one by one: each step of a cursor is a way to another process and back. */
const newestOf = (index, conv) =>
  new Promise((resolve, reject) => {
    const all = IDBKeyRange.bound([conv], [conv, []]);
    const cursor = index.openKeyCursor(all, "prev");
    let steps = 0;
    cursor.onerror = () => reject(cursor.error);
    cursor.onsuccess = () => {
      const at = cursor.result;
      if (at && steps++ === 0) at.advance(KEEP - 1);
      else done(index.getAll(at ? IDBKeyRange.bound(at.key, [conv, []]) : all)).then(resolve, reject);
    };
  });

const PREFIX = "chat-";

export class Database {
  /** Return the users of whom this browser keeps something. */
  static async users() {
    const found = (await indexedDB.databases?.()) ?? [];
    return found.filter(({ name }) => name?.startsWith(PREFIX)).map(({ name }) => name.slice(PREFIX.length));
  }

  static async open(user) {
    const request = indexedDB.open(`${PREFIX}${user}`, VERSION);
    request.onupgradeneeded = () => {
      const db = request.result;
      // What the server has is read again; what was never sent is only here, and stays.
      for (const name of db.objectStoreNames) if (name !== "outbox") db.deleteObjectStore(name);
      if (!db.objectStoreNames.contains("outbox")) db.createObjectStore("outbox", { keyPath: "msg_id" });
      db.createObjectStore("messages", { keyPath: "server_id" }).createIndex("conv", ["conv", "at"]);
      db.createObjectStore("convs", { keyPath: "id" });
      db.createObjectStore("marks");
    };
    return new Database(await done(request), user);
  }

  /** What was written of the list last; null before, and where it may not have been. */
  #convs = null;

  /** The page, in what it has queued: it alone sends that for as long as it lives (unsent.js). */
  tab = crypto.randomUUID?.();

  constructor(db, user) {
    this.db = db;
    this.user = user;
    // Signing out in another tab deletes the database; a tab that held on to it would keep that one waiting.
    db.onversionchange = () => db.close();
  }

  /**
   * Async, so that a database which was closed meanwhile is a rejection like any other. `strict` waits for the disk: only
   * what is nowhere else needs that, and all else would wait behind it.
   */
  async #write(stores, work, durability = "relaxed") {
    const transaction = this.db.transaction(stores, "readwrite", { durability });
    work(...[stores].flat().map((name) => transaction.objectStore(name)));
    // Not left to the end of the turn: a page that is being left has none.
    transaction.commit();
    await committed(transaction);
  }

  /** Return the messages and changes that no ack has answered yet, also messages that were refused, in the order of writing. */
  async outbox() {
    const rows = await done(this.db.transaction("outbox").objectStore("outbox").getAll());
    return rows.sort((a, b) => a.ts - b.ts || a.order - b.order);
  }

  queue(message) {
    return this.#write("outbox", (store) => store.put({ ...message, tab: this.tab }), "strict");
  }

  unqueue(msgId) {
    return this.#write("outbox", (store) => store.delete(msgId));
  }

  /** Keep messages, and up to where in each conversation nothing is missing: both, or none. */
  putMessages(messages, marks) {
    return this.#write(["messages", "marks"], (kept, said) => {
      for (const one of messages) kept.put({ ...one, at: orderKey(one.server_id) });
      said.put(marks, "rows");
    });
  }

  /** Replace the list of conversations. Of hundreds few have changed since the last time: the same object is not written again. */
  async putConversations(convs) {
    const before = this.#convs;
    const now = new Map(convs.map((one) => [one.id, one]));
    this.#convs = now;
    try {
      await this.#write("convs", (store) => {
        if (!before) store.clear();
        else for (const id of before.keys()) if (!now.has(id)) store.delete(id);
        for (const one of convs) if (before?.get(one.id) !== one) store.put(one);
      });
    } catch (error) {
      this.#convs = null;
      throw error;
    }
  }

  putReceipts(receipts) {
    return this.#write("marks", (store) => store.put(receipts, "receipts"));
  }

  /** Return what was begun and not sent, by conversation. */
  drafts() {
    return Object.fromEntries(this.#draftKeys().map((key) => [key.slice(this.#draftPrefix.length), localStorage.getItem(key)]));
  }

  /** Keep what was begun in a conversation; an empty draft is none. */
  putDraft(conv, body) {
    if (body) localStorage.setItem(this.#draftPrefix + conv, body);
    else localStorage.removeItem(this.#draftPrefix + conv);
  }

  get #draftPrefix() {
    return `${PREFIX}draft:${this.user}:`;
  }

  #draftKeys() {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.#draftPrefix));
  }

  #forgetDrafts() {
    this.#draftKeys().forEach((key) => localStorage.removeItem(key));
    // With them what the server knows of them (drafts.js): else the next visit would take them for deleted here.
    localStorage.removeItem(`${PREFIX}drafts-agreed:${this.user}`);
  }

  /** Forget a conversation's window, so that a hole in it never shows as if there were none. */
  async dropMessages(conv) {
    const transaction = this.db.transaction("messages", "readwrite");
    const index = transaction.objectStore("messages").index("conv");
    const cursor = index.openCursor(IDBKeyRange.bound([conv], [conv, []]));
    cursor.onsuccess = () => {
      if (!cursor.result) return;
      cursor.result.delete();
      cursor.result.continue();
    };
    await committed(transaction);
  }

  /** Forget the oldest messages of a conversation, as long as `goes(message)`. */
  async dropWhere(conv, goes) {
    const transaction = this.db.transaction("messages", "readwrite");
    const cursor = transaction.objectStore("messages").index("conv").openCursor(IDBKeyRange.bound([conv], [conv, []]));
    cursor.onsuccess = () => {
      if (!cursor.result || !goes(cursor.result.value)) return;
      cursor.result.delete();
      cursor.result.continue();
    };
    await committed(transaction);
  }

  /** Return what the list is painted from: conversations, receipts, and up to where in each nothing is missing. */
  async heads() {
    const transaction = this.db.transaction(["convs", "marks"]);
    const said = transaction.objectStore("marks");
    const [convs, receipts = {}, marks = {}] = await Promise.all([done(transaction.objectStore("convs").getAll()), done(said.get("receipts")), done(said.get("rows"))]);
    return { convs, receipts, marks };
  }

  /** Return the newest messages that are kept of conversations, in their order: id -> messages, without those of which there are none. */
  async tails(convs) {
    const index = this.db.transaction("messages").objectStore("messages").index("conv");
    const found = await Promise.all(convs.map(async (conv) => [conv, await newestOf(index, conv)]));
    return Object.fromEntries(found.filter(([, messages]) => messages.length));
  }

  /** Forget what was read here; what was written and never sent stays for its author's next visit. */
  async forget() {
    this.#forgetDrafts();
    const transaction = this.db.transaction(["messages", "convs", "marks"], "readwrite");
    for (const name of transaction.objectStoreNames) transaction.objectStore(name).clear();
    await committed(transaction);
  }

  /** Delete everything of this user from this browser. */
  destroy() {
    this.#forgetDrafts();
    this.db.close();
    return done(indexedDB.deleteDatabase(`${PREFIX}${this.user}`));
  }
}
