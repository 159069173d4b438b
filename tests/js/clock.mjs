/** A clock that moves when told, and the timers that go by it; in ms. */
export class Clock {
  time = 0;
  #turn = 0;
  #timers = new Map();

  now = () => this.time;
  setTimeout = (work, ms) => (this.#timers.set((this.#turn += 1), { at: this.time + ms, work }), this.#turn);
  clearTimeout = (id) => this.#timers.delete(id);

  /** Go to the next timer that is due by `end` and do its work; returns whether there was one. */
  next(end) {
    const [id, next] = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
    if (!next || next.at > end) return false;
    this.#timers.delete(id);
    this.time = next.at;
    next.work();
    return true;
  }
}
