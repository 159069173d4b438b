/**
 * Shows of a long column of rows those that are in view and some around them; the others are empty space, as high as they
 * were or are guessed to be (docs/decisions/0070). Whoever reads keeps their place while rows come, go and change height.
 *
 * A place is {key, top, edge}: a row, how far below the upper edge of the scroller it begins, in px, and, if that is to be kept
 * rather, where what is seen of it begins below the space above it. Without a place it is the end.
 */
import { el } from "./dom.js";
import { Heights } from "./heights.js";

/** Rows that are painted above and below those in view; with fewer than `LEAST` left, more are painted. */
const AROUND = 40;
const LEAST = 15;
/** Heights are measured after painting, and may call for other rows. */
const TURNS = 4;

/** Where what is seen of a row begins: the space above a message is another once earlier ones of its author are there. */
const edgeOf = (node) => (node.querySelector(".stack") ?? node).getBoundingClientRect().top;

export class Column {
  #scroller;
  #box;
  #draw;
  #place;
  #rows = [];
  #index = new Map();
  #heights;
  /** What is painted, in order: key -> {node, signature}. */
  #painted = new Map();
  /** The empty spaces, by the row that comes after them. */
  #gaps = new Map();
  #from = 0;
  #to = -1;
  #observer;
  #width = 0;
  #height = 0;

  /**
   * `draw(row)` returns {signature, make, note}: a row is made anew when its signature changes, and `note(node)`, if there is
   * one, called whenever rows are shown anew. `guess(row)`: a height in px.
   * `place()` returns the reader's place when rows change by themselves.
   */
  constructor(scroller, box, { draw, guess, place }) {
    this.#scroller = scroller;
    this.#box = box;
    this.#draw = draw;
    this.#place = place;
    this.#heights = new Heights(guess);
    this.#observer = new ResizeObserver(() => this.#changed());
    this.#observer.observe(scroller);
  }

  /** The element of a row, where it is painted. */
  node(key) {
    return this.#painted.get(key)?.node;
  }

  /** Forget all that was shown. */
  clear() {
    for (const { node } of this.#painted.values()) this.#observer.unobserve(node);
    this.#box.replaceChildren();
    this.#painted.clear();
    this.#gaps.clear();
    this.#rows = [];
    this.#index.clear();
    this.#heights.rows = [];
  }

  /** Return the place of whoever looks now: at the first message in view that is painted, or else would be. */
  place() {
    if (!this.#rows.length) return null;
    const top = this.#top;
    const first = this.#heights.at(top);
    const last = this.#heights.at(top + this.#scroller.clientHeight);
    let found = null;
    for (let at = first; at <= last; at += 1) {
      const { key, message } = this.#rows[at];
      if (!message) continue;
      found ??= at;
      if (!this.#painted.has(key)) continue;
      found = at;
      break;
    }
    const at = found ?? first;
    const { key } = this.#rows[at];
    const node = this.node(key);
    return { key, top: this.#heights.top(at) - top, edge: node && edgeOf(node) - this.#scroller.getBoundingClientRect().top };
  }

  /** Return the first row that `counts` before (`by` -1) or after (1) another; where that is null, the last one that begins in view. */
  step(key, by, counts) {
    let at = key === null ? this.#heights.at(this.#top + this.#scroller.clientHeight) + 1 : (this.#index.get(key) ?? -1);
    const step = key === null ? -1 : by;
    do at += step;
    while (this.#rows[at] && !counts(this.#rows[at]));
    return this.#rows[at];
  }

  /** Show rows to a reader at a place: {key, day, message, …}, where `day` is the key of the row that stays above them while they are in view. */
  show(rows, place) {
    this.#rows = rows;
    this.#index = new Map(rows.map((row, index) => [row.key, index]));
    this.#heights.rows = rows;
    this.#settle(place, { anew: true });
  }

  /** Bring a row into view: to the middle, or, with "nearest", only as far as it takes. Returns its element, if there is such a row. */
  bring(key, block = "center") {
    const at = this.#index.get(key);
    if (at === undefined) return undefined;
    // Twice: how high it is may only be known once it is painted.
    for (let turn = 0; turn < 2; turn += 1) {
      const room = Math.max(0, this.#scroller.clientHeight - this.#heights.of(at));
      const now = this.#heights.top(at) - this.#top;
      this.#settle({ key, top: block === "center" ? room / 2 : Math.min(Math.max(now, 0), room) });
    }
    return this.node(key);
  }

  /** Are there few painted rows left in the direction that somebody scrolled in? */
  get short() {
    if (!this.#rows.length || !this.#scroller.clientHeight) return false;
    const top = this.#top;
    const first = this.#heights.at(top);
    const last = this.#heights.at(top + this.#scroller.clientHeight);
    return Math.max(0, first - LEAST) < this.#from || Math.min(this.#rows.length - 1, last + LEAST) > this.#to;
  }

  /** Paint what comes into view. */
  fill() {
    this.#settle(this.place());
  }

  /** Go to the end. */
  end() {
    this.#settle(null);
  }

  /** How far the upper edge of what is in view is below the beginning of the column. */
  get #top() {
    return this.#scroller.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
  }

  /** Paint and measure until what is in view at a place is painted, and put the reader there. `anew`: rows may look different now. */
  #settle(place, { anew = false } = {}) {
    const { clientHeight } = this.#scroller;
    const at = place ? this.#index.get(place.key) : undefined;
    // Whose place is gone stays at the same distance from the beginning.
    const here = this.#top;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const end = this.#heights.top(this.#rows.length) - clientHeight;
      const top = at !== undefined ? this.#heights.top(at) - place.top : place ? here : end;
      this.#paint(top, clientHeight, anew && turn === 0);
      if (!this.#measure()) break;
    }
    if (!place) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else if (at !== undefined) {
      const node = this.node(place.key);
      const now = place.edge === undefined ? node.getBoundingClientRect().top : edgeOf(node);
      const off = now - this.#scroller.getBoundingClientRect().top - (place.edge ?? place.top);
      if (Math.abs(off) >= 0.5) this.#scroller.scrollTop += off;
    }
  }

  /** Note the heights of what is painted; returns whether one is another than was thought. */
  #measure() {
    // What is not on the screen has no height.
    if (!this.#scroller.clientHeight) return false;
    let off = false;
    for (const [key, { node }] of this.#painted) if (this.#heights.measured(this.#index.get(key), node.getBoundingClientRect().height)) off = true;
    return off;
  }

  /** Something painted, or the column itself, has another size. */
  #changed() {
    if (!this.#scroller.clientHeight || !this.#rows.length) return;
    const before = this.#place();
    // On the page all has moved already: only the heights that are known tell where the reader was.
    const place = before && { key: before.key, top: before.top };
    const { clientWidth, clientHeight } = this.#scroller;
    const wider = clientWidth !== this.#width;
    const resized = wider || clientHeight !== this.#height;
    [this.#width, this.#height] = [clientWidth, clientHeight];
    if (wider) this.#heights.forget();
    if (this.#measure() || resized) this.#settle(place);
  }

  /** Return the rows to paint, in order: those around what is in view, the day they are of, and what must not go away. */
  #wanted(top, height) {
    const last = this.#rows.length - 1;
    if (last < 0) return [];
    this.#from = Math.max(0, this.#heights.at(top) - AROUND);
    this.#to = Math.min(last, this.#heights.at(top + height) + AROUND);
    const wanted = new Set();
    for (let at = this.#from; at <= this.#to; at += 1) wanted.add(at);
    const day = this.#index.get(this.#rows[this.#heights.at(top)].day);
    if (day !== undefined) wanted.add(day);
    for (const at of this.#held()) wanted.add(at);
    return [...wanted].sort((a, b) => a - b);
  }

  /** Rows that stay wherever they are: with the focus, with a film that plays, and all between the ends of a marked text. */
  #held() {
    const selection = getSelection();
    const marked = selection.isCollapsed || !selection.rangeCount ? null : selection.getRangeAt(0);
    const held = [];
    let [first, last] = [Infinity, -1];
    for (const [key, { node }] of this.#painted) {
      const at = this.#index.get(key);
      if (at === undefined) continue;
      if (node.contains(document.activeElement) || [...node.getElementsByTagName("video")].some((film) => !film.paused)) held.push(at);
      if (marked?.intersectsNode(node)) [first, last] = [Math.min(first, at), Math.max(last, at)];
    }
    for (let at = first; at <= last; at += 1) held.push(at);
    return held;
  }

  #paint(top, height, anew) {
    const wanted = this.#wanted(top, height);
    const keys = new Set(wanted.map((at) => this.#rows[at].key));
    // First what goes: what stays is then in its order already, and does not have to be moved, which would cost it its focus.
    for (const [key, { node }] of this.#painted) {
      if (keys.has(key)) continue;
      this.#observer.unobserve(node);
      node.remove();
    }
    const painted = new Map();
    const gaps = new Map();
    let cursor = this.#box.firstChild;
    const put = (node) => {
      if (node === cursor) cursor = cursor.nextSibling;
      else this.#box.insertBefore(node, cursor);
    };
    const space = (key, from, to) => {
      if (from === to) return;
      const gap = this.#gaps.get(key) ?? el("div", { className: "gap", "aria-hidden": "true" });
      gap.style.blockSize = `${this.#heights.top(to) - this.#heights.top(from)}px`;
      gaps.set(key, gap);
    };
    let next = 0;
    for (const at of wanted) {
      const { key } = this.#rows[at];
      space(key, next, at);
      next = at + 1;
    }
    space(null, next, this.#rows.length);
    for (const [key, gap] of this.#gaps) {
      if (gaps.has(key)) continue;
      if (gap === cursor) cursor = cursor.nextSibling;
      gap.remove();
    }
    for (const at of wanted) {
      const row = this.#rows[at];
      if (gaps.has(row.key)) put(gaps.get(row.key));
      const old = this.#painted.get(row.key);
      let { node, signature } = old ?? {};
      const drawn = old && !anew ? null : this.#draw(row);
      if (drawn && drawn.signature !== signature) {
        node = drawn.make();
        signature = drawn.signature;
        if (old) {
          if (cursor === old.node) cursor = node;
          const focused = old.node === document.activeElement;
          this.#observer.unobserve(old.node);
          old.node.replaceWith(node);
          if (focused) node.focus({ preventScroll: true });
        }
        this.#observer.observe(node, { box: "border-box" });
      }
      drawn?.note?.(node);
      put(node);
      painted.set(row.key, { node, signature });
    }
    if (gaps.has(null)) put(gaps.get(null));
    this.#painted = painted;
    this.#gaps = gaps;
  }
}
