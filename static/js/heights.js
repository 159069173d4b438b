/** Where each row of a long column is: from heights that were measured, and guesses for rows that were never painted. Pure. */
export class Heights {
  #known = new Map();
  #rows = [];
  #guess;
  /** Where each row begins, and last where the column ends, in px; null where that has to be added up again. */
  #tops = null;

  /** `guess(row)` returns a height in px. */
  constructor(guess) {
    this.#guess = guess;
  }

  /** Take the rows, {key, …}, in their order. What is known of their heights stays. */
  set rows(rows) {
    this.#rows = rows;
    this.#tops = null;
  }

  /** Note a measured height; returns whether it is another than was thought. */
  measured(index, px) {
    const off = Math.abs(this.of(index) - px) >= 0.5;
    this.#known.set(this.#rows[index].key, px);
    if (off) this.#tops = null;
    return off;
  }

  /** The width is another: only guesses are left. */
  forget() {
    this.#known.clear();
    this.#tops = null;
  }

  of(index) {
    return this.#known.get(this.#rows[index].key) ?? this.#guess(this.#rows[index]);
  }

  /** Where a row begins; with the number of rows, where the column ends. */
  top(index) {
    return this.#added[index];
  }

  /** Return the row that is at a place; the first or last where the place is outside. */
  at(px) {
    const tops = this.#added;
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (tops[middle] <= px) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  get #added() {
    if (!this.#tops) {
      const tops = new Float64Array(this.#rows.length + 1);
      this.#rows.forEach((_, index) => (tops[index + 1] = tops[index] + this.of(index)));
      this.#tops = tops;
    }
    return this.#tops;
  }
}
