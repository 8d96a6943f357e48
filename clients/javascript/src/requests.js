/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { ClientError, tooLarge } from './errors.js';
import { randomId } from './random-id.js';

/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */

/**
 * A request as it is kept, also across a reload of the page.
 *
 * @typedef {object} StoredRequest
 * @property {string} id
 * @property {object} message
 * @property {number} [sentAt] When it first went out, in milliseconds since 1970.
 */

/**
 * A place where requests outlive the page. `Outbox` is one.
 *
 * @typedef {object} RequestStore
 * @property {() => Promise<StoredRequest[]>} load Those that are there, oldest first.
 * @property {(request: StoredRequest) => Promise<unknown>} put Adds or replaces one.
 * @property {(id: string) => Promise<unknown>} remove
 */

/**
 * @typedef {object} RequestOptions
 * @property {number} [timeoutMs] How long the answer may take, waiting for a connection
 *   included. Default: the client's `requestTimeoutMs`.
 * @property {boolean} [repeat] Whether it goes out again on the next connection, and into the
 *   outbox, if there is one. Default: true. If not, it is `unconfirmed` when the connection is
 *   lost before the answer comes.
 */

/**
 * @typedef {object} Pending
 * @property {StoredRequest} stored
 * @property {string} text As it goes out.
 * @property {(reply: WireMessage) => void} resolve
 * @property {(error: ClientError) => void} reject
 * @property {Deadline} expiry
 * @property {RequestStore | null} store
 * @property {boolean} repeat
 * @property {number} [sentAt] When it first went out, by the time that only rises.
 */

/**
 * @typedef {object} RequestsOptions
 * @property {(text: string) => boolean} send
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {number} windowMs How long the server remembers answers.
 * @property {RequestStore | null} store
 */

/**
 * The requests that wait for their answers, in the order in which they were made. They go out
 * as soon as there is a connection, and again on the next one if it was lost meanwhile: the
 * server answers a repeat from memory, as long as it remembers.
 */
export class Requests {
  /**
   * True if the server answers by `id`; `null` until it has shown either.
   *
   * @type {boolean | null}
   */
  #supported = null;
  /** @type {Map<string, Pending>} */
  #pending = new Map();
  #options;
  #prefix = randomId();
  #made = 0;
  /** True while there may be something in the store that is not known here. */
  #unread;
  /** While the store is read, nothing goes out: what is in there is older. */
  #loading = false;

  /** @param {RequestsOptions} options */
  constructor(options) {
    this.#options = options;
    this.#unread = options.store !== null;
  }

  get supported() {
    return this.#supported;
  }

  /** True while an answer is due. */
  get waiting() {
    for (const { stored } of this.#pending.values()) if (stored.sentAt !== undefined) return true;
    return false;
  }

  /** A name for a message that no other has. */
  newId() {
    return `${this.#prefix}-${(this.#made += 1)}`;
  }

  /**
   * @param {object} message
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>}
   */
  add(message, { timeoutMs = this.#options.timeoutMs, repeat = true } = {}) {
    const { limit, store } = this.#options;
    if (this.#supported === false) return Promise.reject(unsupported());
    if (this.#pending.size >= limit) {
      return Promise.reject(new ClientError('overflow', 'too many requests wait'));
    }
    const id = this.newId();
    const text = requestText(id, message);
    if (typeof text !== 'string') return Promise.reject(text);
    if (!this.#options.fits(text)) return Promise.reject(tooLarge());
    // As it stands now, whatever becomes of the objects, and as a store can keep it.
    const stored = { id, message: repeat && store ? withoutId(JSON.parse(text)) : message };
    const { pending, reply } = this.#wait(stored, text, timeoutMs, repeat);
    if (!this.#dispatch(pending)) save(pending);
    return reply;
  }

  /**
   * Reads the store, if there is one and it was not read yet. What is in there goes out before
   * everything else.
   *
   * @returns {Promise<{ id: string, message: object, reply: Promise<WireMessage> }[]>}
   */
  async load() {
    const { store } = this.#options;
    if (!store || !this.#unread) return [];
    this.#unread = false;
    this.#loading = true;
    try {
      const loaded = await store.load();
      const younger = this.#pending;
      this.#pending = new Map();
      const restored = loaded
        .filter(({ id }) => !younger.has(id))
        .map((stored) => {
          const text = requestText(stored.id, stored.message);
          const { reply } = this.#wait(stored, String(text), Infinity, true);
          // The application need not listen; it is told by the event.
          reply.catch(forget);
          if (typeof text !== 'string') this.#settle(stored.id)?.reject(text);
          return { id: stored.id, message: stored.message, reply };
        });
      for (const [id, pending] of younger) this.#pending.set(id, pending);
      return restored;
    } finally {
      this.#loading = false;
      this.flush();
    }
  }

  /** There is a connection: everything goes out that has no answer yet. */
  flush() {
    const { windowMs } = this.#options;
    for (const pending of this.#pending.values()) {
      const { id, sentAt } = pending.stored;
      if (sentAt !== undefined && !(pending.repeat && this.#age(pending) < windowMs)) {
        this.#settle(id)?.reject(new ClientError('unconfirmed', 'perhaps executed'));
      } else {
        this.#dispatch(pending);
      }
    }
  }

  /** The limit of the server is known better: what is larger is not sent, or not again. */
  refuseTooLarge() {
    for (const { stored, text } of this.#pending.values()) {
      if (!this.#options.fits(text)) this.#settle(stored.id)?.reject(tooLarge());
    }
  }

  /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
  repeat() {
    for (const pending of this.#pending.values()) if (pending.repeat) this.#dispatch(pending);
  }

  /**
   * Takes the answer out of what the server sends.
   *
   * @param {WireMessage} message
   * @returns {boolean} Whether it is one.
   */
  answer(message) {
    const { id } = message;
    const pending = typeof id === 'string' ? this.#settle(id) : null;
    if (!pending) return false;
    this.#supported = true;
    if (message.type === 'error') {
      pending.reject(new ClientError('refused', String(message['message']), { cause: message }));
    } else {
      pending.resolve(message);
    }
    return true;
  }

  /**
   * The server has shown whether it answers by `id`. If it does not, what went out is not
   * repeated.
   *
   * @param {boolean} supported
   */
  support(supported) {
    this.#supported = supported;
    if (supported) return;
    for (const { stored } of this.#pending.values()) {
      if (stored.sentAt !== undefined) this.#settle(stored.id)?.reject(unsupported());
    }
  }

  /**
   * Gives up on all of them. What is in the store stays there, to be read anew.
   */
  end() {
    for (const { reject, expiry } of this.#pending.values()) {
      expiry.clear();
      reject(new ClientError('closed', 'the client ended'));
    }
    this.#pending.clear();
    this.#unread = this.#options.store !== null;
  }

  /**
   * @param {StoredRequest} stored
   * @param {string} text
   * @param {number} timeoutMs
   * @param {boolean} repeat
   */
  #wait(stored, text, timeoutMs, repeat) {
    const expiry = new Deadline(this.#options.timers);
    if (timeoutMs < Infinity) {
      expiry.start(timeoutMs, () =>
        this.#settle(stored.id)?.reject(new ClientError('timeout', 'no answer')),
      );
    }
    const pending = /** @type {Pending} */ ({
      stored,
      text,
      expiry,
      repeat,
      store: repeat ? this.#options.store : null,
    });
    /** @type {Promise<WireMessage>} */
    const reply = new Promise((resolve, reject) => Object.assign(pending, { resolve, reject }));
    this.#pending.set(stored.id, pending);
    return { pending, reply };
  }

  /**
   * @param {Pending} pending
   * @returns {boolean} Whether it went out.
   */
  #dispatch(pending) {
    const { stored } = pending;
    const { send, now, date } = this.#options;
    if (this.#loading || !send(pending.text)) return false;
    if (stored.sentAt === undefined) {
      pending.sentAt = now();
      stored.sentAt = date();
      save(pending);
    }
    return true;
  }

  /**
   * The time since a request first went out: the longer one of what two clocks say. The one that
   * only rises may stand still while the machine sleeps, and the other may be set.
   *
   * @param {Pending} pending
   */
  #age({ stored, sentAt }) {
    const { now, date } = this.#options;
    const byDate = date() - /** @type {number} */ (stored.sentAt);
    if (sentAt !== undefined) return Math.max(now() - sentAt, byDate);
    // Of an earlier page. If that was in the future, the clock was set, and nobody knows.
    return byDate < 0 ? Infinity : byDate;
  }

  /** @param {string} id */
  #settle(id) {
    const pending = this.#pending.get(id);
    if (!pending) return null;
    this.#pending.delete(id);
    pending.expiry.clear();
    pending.store?.remove(id).catch(forget);
    return pending;
  }
}

/**
 * @param {string} id
 * @param {object} message
 * @returns {string | ClientError} The error, if JSON cannot say it.
 */
function requestText(id, message) {
  try {
    return JSON.stringify({ ...message, id });
  } catch (cause) {
    return new ClientError('invalid-message', 'JSON cannot say this', { cause });
  }
}

/** @param {{ id: string }} message */
function withoutId({ id, ...message }) {
  return message;
}

function unsupported() {
  return new ClientError('unsupported', 'the server does not answer requests');
}

/** @param {Pending} pending */
function save({ store, stored }) {
  store?.put(stored).catch(forget);
}

/** A store that fails makes a request forgettable, not impossible. */
function forget() {}
