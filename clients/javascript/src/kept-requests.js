/**
 * Requests that are kept in a store.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { ClientError } from './errors.js';
import { guardedStore } from './guarded-store.js';
import { textOf } from './message.js';
import { unsent } from './questions.js';
import { Requests } from './requests.js';

/** @import { WireMessage } from './message.js' */
/** @import { Pending, QuestionsOptions, Scope } from './questions.js' */

/**
 * A request as it is kept, also across a reload of the page.
 *
 * @typedef {object} StoredRequest
 * @property {string} id
 * @property {object} message
 * @property {string} [place] The address that it is for: server, endpoint and room.
 * @property {string} [user] The user that it is of, as JSON of the id, if that is known.
 * @property {number} [sentAt] When it first went out, in milliseconds since 1970.
 */

/**
 * A place where requests outlive the page.
 *
 * @typedef {object} RequestStore
 * @property {() => Promise<StoredRequest[]>} load Those that are there, oldest first.
 * @property {(request: StoredRequest) => Promise<unknown>} put Adds or replaces one.
 * @property {(id: string) => Promise<unknown>} remove
 */

/**
 * Requests that outlive the page in a store. What is there for the present place and user goes out
 * before everything else.
 */
export class KeptRequests extends Requests {
  #store;
  /** The scope for which the store was last read. @type {Scope | null} */
  #read = null;
  /** True after the store has failed to be read: nothing waits for it any more. */
  #hasFailed = false;
  /** True while the store is to be read as soon as it can be. */
  #isUnread = false;
  /** The ids that were settled while the store is being read. @type {Set<string> | null} */
  #settled = null;
  #isEnding = false;

  /**
   * @param {RequestStore} store
   * @param {QuestionsOptions} options
   */
  constructor(store, options) {
    super(options);
    const { timers, client } = options;
    this.#store = guardedStore(store, {
      timers,
      failed: (cause) => client.emit('fault', new ClientError('store', 'the outbox fails', { cause })),
      readable: () => this.#isUnread && this.entered(),
    });
  }

  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  keep({ id, text, place, user, sentAt, repeat }) {
    if (!repeat) return;
    const { id: _, ...message } = JSON.parse(text);
    // Without what is not known, as a store may not be able to keep it.
    const stored = JSON.parse(JSON.stringify({ id, message, place, user, sentAt }));
    // What a store does not know to have gone out, it must not have: it would be repeated as new.
    this.#store.put(stored).catch(() => this.#store.remove(id).catch(ignore));
  }

  /**
   * @override
   * @protected
   * @param {any} id
   */
  settle(id) {
    const pending = super.settle(id);
    this.#settled?.add(id);
    // At the end, it stays there, to be read anew.
    if (pending?.repeat && !this.#isEnding) this.#store.remove(id).catch(ignore);
    return pending;
  }

  /**
   * @override
   * @param {boolean} isEnd
   */
  released(isEnd) {
    if (isEnd) {
      this.#read = null;
      this.#isUnread = false;
      this.reading = false;
    }
    this.#isEnding = isEnd;
    super.released(isEnd);
    this.#isEnding = false;
  }

  /**
   * Reads the store, if it was not read yet for this place and user. One that could not be read is
   * tried again when it answers after all, and with the next attempt to connect.
   *
   * @override
   * @protected
   */
  entered() {
    const { scope } = this;
    if (this.#read && this.#read.place === scope.place && this.#read.user === scope.user) return;
    this.#read = scope;
    this.#isUnread = false;
    this.#settled = new Set();
    this.reading = !this.#hasFailed;
    void (async () => {
      // Without the store, what is in memory goes on.
      const loaded = await this.#store.load().catch(ignore);
      if (scope !== this.#read) return;
      this.#hasFailed = !loaded;
      if (loaded) this.#restore(loaded);
      else this.#read = null;
      this.#isUnread = !loaded;
      this.#settled = null;
      this.reading = false;
      this.flush();
    })();
  }

  /** @param {StoredRequest[]} loaded */
  #restore(loaded) {
    const { place, user } = this.scope;
    const younger = new Map(this.pending);
    this.pending.clear();
    const restored = loaded
      .filter((stored) => {
        if (younger.has(stored.id) || this.#settled?.has(stored.id)) return false;
        // What an older client kept is for nobody knows which place: it is handed back.
        if (stored.place === undefined) return true;
        return stored.place === place && (stored.user === undefined || stored.user === user);
      })
      .map((stored) => this.#adopt(stored));
    for (const [id, pending] of younger) this.pending.set(id, pending);
    for (const request of restored) this.options.client.emit('restored', request);
  }

  /** @param {StoredRequest} stored */
  #adopt({ message, ...stored }) {
    const { id, sentAt } = stored;
    const { now, date, timers } = this.options;
    /** @type {Promise<WireMessage>} */
    const reply = new Promise((resolve, reject) => {
      // If it went out in the future, the clock was set, and nobody knows how long ago that was.
      const since = sentAt !== undefined && date() < sentAt ? -Infinity : now();
      const expiry = new Deadline(timers);
      const pending = { ...stored, text: '', since, expiry, repeat: true, restored: true, resolve, reject };
      this.pending.set(id, pending);
      try {
        pending.text = textOf({ ...message, id });
      } catch (error) {
        this.settle(id)?.reject(/** @type {any} */ (error));
      }
      if (stored.place === undefined || this.isForeign(pending)) this.settle(id)?.reject(unsent(pending));
    });
    // The application need not listen; it is told by the event.
    reply.catch(ignore);
    return { id, message, reply };
  }
}

/** A store that fails makes a request forgettable, not impossible. */
function ignore() {}
