/** New messages as sentences that are heard: few, however much is written. Pure but for its timer. */
import { _, listed, n } from "./i18n.js";

/** What comes together is said together. */
const GATHER_MS = 1_000;
/** From one sentence to the next. */
const EVERY_MS = 5_000;
/** Conversations that are named. */
const NAMED = 3;

/**
 * Gathers how many messages came where, and gives that to `say`, a Map conv -> {from, count}: a moment after the first of them,
 * and then no more often than every few seconds.
 */
export class Digest {
  #say;
  #came = new Map();
  #timer = null;

  constructor(say) {
    this.#say = say;
  }

  /** A message came in a conversation, from whom. */
  add(conv, from) {
    this.#came.set(conv, { from, count: (this.#came.get(conv)?.count ?? 0) + 1 });
    this.#timer ??= setTimeout(this.#tell, GATHER_MS);
  }

  #tell = () => {
    const came = this.#came;
    this.#came = new Map();
    this.#timer = came.size ? setTimeout(this.#tell, EVERY_MS) : null;
    // Nothing came for a while: what was said goes, so that nobody finds it later, and hears it when it is said again.
    this.#say(came);
  };
}

/** One sentence about what came: rows {title, from, count}, `from` being the name of a group's author, null in a direct conversation. */
export function sentence(rows) {
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  if (rows.length > 1) {
    const names = rows.slice(0, NAMED).map((row) => row.title);
    return n("{count} new message: {names}", "{count} new messages: {names}", count, { names: listed(rows.length > NAMED ? [...names, _("others")] : names) });
  }
  const [{ title, from }] = rows;
  if (from === null) return count > 1 ? n("{count} new message from {name}", "{count} new messages from {name}", count, { name: title }) : _("New message from {name}", { name: title });
  return count > 1 ? n("{count} new message in {name}", "{count} new messages in {name}", count, { name: title }) : _("{who}: new message in {name}", { who: from, name: title });
}
