import { lasting } from './storage.js';

/** The most rooms that have a mark; the one that was read longest ago loses its mark. */
const LIMIT = 50;

/**
 * Up to which message somebody has read each room. Kept in this browser, by user, so that what
 * was said while the page was closed is unread when it is opened again.
 */
export class ReadMarks {
  #store;
  #key;

  /**
   * @param {string} user a key of the user
   * @param {import('./storage.js').KeyValue} [store]
   */
  constructor(user, store = lasting) {
    this.#key = `read.${user}`;
    this.#store = store;
  }

  /** The rooms that have a mark, the one that was read last at the end. */
  get rooms() {
    return [...this.#marks().keys()];
  }

  /**
   * @param {string} room
   * @returns {number | null} the id of a message; `null` where nothing was ever read
   */
  get(room) {
    return this.#marks().get(room) ?? null;
  }

  /**
   * @param {string} room
   * @param {number} id a mark only moves forward
   */
  set(room, id) {
    const marks = this.#marks();
    const mark = Math.max(id, marks.get(room) ?? 0);
    marks.delete(room);
    marks.set(room, mark);
    this.#save(marks);
  }

  /** @param {string} room */
  forget(room) {
    const marks = this.#marks();
    if (marks.delete(room)) this.#save(marks);
  }

  /** @param {Map<string, number>} marks */
  #save(marks) {
    this.#store.set(this.#key, JSON.stringify([...marks].slice(-LIMIT)));
  }

  #marks() {
    /** @type {Map<string, number>} */
    const marks = new Map();
    try {
      // Read anew each time: other tabs write as well.
      for (const [room, id] of JSON.parse(this.#store.get(this.#key) ?? '[]')) {
        if (typeof room === 'string' && typeof id === 'number') marks.set(room, id);
      }
    } catch {
      // Somebody else's data under our name is as good as none.
    }
    return marks;
  }
}
