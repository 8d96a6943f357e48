import { DEFAULT_ROOM, roomName } from './route.js';
import { lasting } from './storage.js';

/** The most rooms that are remembered beside the default one. */
const LIMIT = 50;

/** The rooms this browser has been to, which outlive the tab. */
export class RememberedRooms {
  #store;

  /**
   * @param {import('./storage.js').KeyValue} [store]
   */
  constructor(store = lasting) {
    this.#store = store;
  }

  /** Their names: the default room first, the others in the order they were first visited. */
  get names() {
    return [DEFAULT_ROOM, ...this.#others()];
  }

  /** @param {string} room */
  add(room) {
    if (this.names.includes(room)) return;
    this.#save([...this.#others(), room].slice(-LIMIT));
  }

  /** @param {string} room */
  forget(room) {
    this.#save(this.#others().filter((name) => name !== room));
  }

  #others() {
    /** @type {unknown} */
    let names;
    try {
      names = JSON.parse(this.#store.get('rooms') ?? '[]');
    } catch {
      // Somebody else's data under our name is as good as none.
    }
    if (!Array.isArray(names)) return [];
    const valid = names.filter((name) => typeof name === 'string' && roomName(name) === name);
    return [...new Set(valid)].filter((name) => name !== DEFAULT_ROOM);
  }

  /** @param {string[]} names */
  #save(names) {
    this.#store.set('rooms', JSON.stringify(names));
  }
}
