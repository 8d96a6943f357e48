/**
 * A clock that stands still until it is told to go on.
 */
export class VirtualClock {
  #now = 1_000_000;
  #nextId = 1;
  #timers = new Map();

  #offset = 0;

  /** The time that only rises. */
  now = () => this.#now;

  /** The time of day. */
  date = () => this.#now + this.#offset;

  /** Sets the clock, by so many milliseconds. */
  set(ms) {
    this.#offset += ms;
  }

  timers = {
    setTimeout: (callback, ms) => {
      const id = this.#nextId++;
      this.#timers.set(id, { callback, due: this.#now + ms });
      return id;
    },
    clearTimeout: (id) => {
      this.#timers.delete(id);
    },
  };

  /** How many timers are set. */
  get pending() {
    return this.#timers.size;
  }

  /** Lets time pass without a call, as a machine does that sleeps: all is called late. */
  sleep(ms) {
    this.#now += ms;
  }

  /** Lets time pass, and calls what falls due in the order in which it does. */
  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].sort(([, a], [, b]) => a.due - b.due)[0];
      if (!next || next[1].due > end) break;
      const [id, { callback, due }] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, due);
      callback();
    }
    this.#now = end;
  }
}
