/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { ClientError, tooLarge } from './errors.js';
import { guardedStore } from './guarded-store.js';
import { randomId } from './random-id.js';

/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */

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
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} place
 * @property {string | undefined} user
 * @property {unknown} [source] Where the token comes from, which tells users apart before they are known.
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
 * @property {unknown} [source] Where the token came from when the request was made.
 * @property {boolean} restored Whether it is of an earlier page.
 * @property {number} [sentOn] The connection on which it last went out.
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
 * @property {(request: { id: string, message: object, reply: Promise<WireMessage> }) => void} restored
 *   Told each request that was in the store.
 * @property {(cause: unknown) => void} storeFailed Told the first failure of the store.
 * @property {() => void} unidentified Only the server knows who this is, and is to be asked.
 */

/**
 * The requests that wait for their answers, in the order in which they were made. They go out
 * as soon as there is a connection, and again on the next one if it was lost meanwhile: the
 * server answers a repeat from memory, as long as it remembers.
 *
 * A request is for one place and of one user. It goes nowhere else, and in nobody else's name.
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
  /** The scope of the present attempt or connection. @type {Scope} */
  #scope = { place: undefined, user: undefined };
  /** The scope for which the store was last read. @type {Scope | null} */
  #read = null;
  /** The reading that is under way. While there is one, nothing goes out: what it finds is older. */
  #reading = 0;
  #readings = 0;
  /** The number of the present connection. */
  #connection = 0;
  /** True when the server has told who this is, or cannot. */
  #identified = false;

  /** @param {RequestsOptions} options */
  constructor(options) {
    const { store, timers, storeFailed } = options;
    this.#options = {
      ...options,
      store: store && guardedStore(store, { timers, failed: storeFailed }),
    };
  }

  /** @returns {Scope} Where the present attempt or connection leads. */
  get scope() {
    return this.#scope;
  }

  /** True while the server is to tell who this is, before anything goes out. */
  get held() {
    if (this.#identified || this.#scope.user !== undefined) return false;
    return [...this.#pending.values()].some(({ stored, restored }) => restored || stored.user !== undefined);
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
   * @param {Scope} scope
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>}
   */
  add(message, scope, { timeoutMs = this.#options.timeoutMs, repeat = true } = {}) {
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
    const stored = {
      id,
      message: repeat && store ? withoutId(JSON.parse(text)) : message,
      ...known(scope),
    };
    const { pending, reply } = this.#wait(stored, text, { timeoutMs, repeat, restored: false });
    pending.source = scope.source;
    if (!this.#dispatch(pending)) save(pending);
    return reply;
  }

  /**
   * An attempt to connect begins. What waits for another place or user is given up; what is in the
   * store for this one goes out before everything else.
   *
   * @param {Scope} scope `user` is absent where only the server knows.
   */
  enter(scope) {
    this.#scope = scope;
    this.#identified = false;
    for (const { stored, restored, source } of this.#pending.values()) {
      const isOthers = !restored && stored.user === undefined && source !== scope.source;
      if (isOthers || !fits(stored, scope)) this.#giveUp(stored);
    }
    this.#adopt();
    this.#load();
  }

  /**
   * The server has told who this is, or cannot.
   *
   * @param {string} [user]
   */
  identify(user) {
    this.#identified = true;
    if (user !== undefined && this.#scope.user === undefined) {
      this.#scope = { ...this.#scope, user };
      for (const { stored, restored } of this.#pending.values()) {
        if (!fits(stored, this.#scope) || (restored && stored.user === undefined)) this.#giveUp(stored);
      }
      this.#adopt();
      this.#load();
    } else if (this.#scope.user === undefined) {
      // Those of a known user, and nobody knows who this is.
      for (const { stored } of this.#pending.values()) {
        if (stored.user !== undefined) this.#giveUp(stored);
      }
    }
    this.#flush();
  }

  /** Gives the present scope to requests that were made before it was known. */
  #adopt() {
    const { place, user } = this.#scope;
    for (const pending of this.#pending.values()) {
      const { stored, restored } = pending;
      const before = { ...stored };
      if (restored) continue;
      Object.assign(stored, known({ place: stored.place ?? place, user: stored.user ?? user }));
      if (before.place !== stored.place || before.user !== stored.user) save(pending);
    }
  }

  /** @param {StoredRequest} stored */
  #giveUp({ id, sentAt }) {
    this.#settle(id)?.reject(unsent(sentAt));
  }

  /** Reads the store, if there is one and it was not read yet for this place and user. */
  #load() {
    const { store } = this.#options;
    const read = this.#read;
    const { place, user } = this.#scope;
    if (!store || (read && read.place === place && read.user === user)) return;
    this.#read = this.#scope;
    const reading = (this.#reading = this.#readings += 1);
    void (async () => {
      // Without the store, what is in memory goes on.
      const loaded = await store.load().catch(() => []);
      if (reading !== this.#reading) return;
      this.#restore(loaded);
      this.#reading = 0;
      if (this.held) this.#options.unidentified();
      this.#flush();
    })();
  }

  /** @param {StoredRequest[]} loaded */
  #restore(loaded) {
    const { place, user } = this.#scope;
    const younger = this.#pending;
    this.#pending = new Map();
    const restored = loaded
      .filter((stored) => {
        if (younger.has(stored.id)) return false;
        // What an older client kept is for nobody knows which place: it is handed back.
        if (stored.place === undefined) return true;
        return stored.place === place && (stored.user === undefined || stored.user === user);
      })
      .map((stored) => {
        const { id, message } = stored;
        const text = requestText(id, message);
        const { reply } = this.#wait({ ...stored }, String(text), {
          timeoutMs: Infinity,
          repeat: true,
          restored: true,
        });
        // The application need not listen; it is told by the event.
        reply.catch(forget);
        if (stored.place === undefined || stored.user !== user) this.#giveUp(stored);
        else if (typeof text !== 'string') this.#settle(id)?.reject(text);
        return { id, message, reply };
      });
    for (const [id, pending] of younger) this.#pending.set(id, pending);
    for (const request of restored) this.#options.restored(request);
  }

  /** There is a connection: everything goes out that has no answer yet. */
  opened() {
    this.#connection += 1;
    this.#flush();
  }

  /** Sends what was not sent on this connection. */
  #flush() {
    if (this.#reading || this.held) return;
    for (const pending of this.#pending.values()) {
      if (pending.sentOn !== this.#connection) this.#resend(pending, pending.repeat);
    }
  }

  /**
   * The server has told for how long it remembers answers.
   *
   * @param {unknown} ms
   * @param {number} [wantedMs] What the application wants.
   */
  remembers(ms, wantedMs = Infinity) {
    // What is sent takes its time to arrive.
    if (Number(ms) > 0) this.#options.windowMs = Math.min(wantedMs, Number(ms) - UNDER_WAY_MS);
  }

  /** The limit of the server is known better: what is larger is not sent, or not again. */
  refuseTooLarge() {
    for (const { stored, text } of this.#pending.values()) {
      if (!this.#options.fits(text)) this.#settle(stored.id)?.reject(tooLarge());
    }
  }

  /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
  repeat() {
    for (const pending of this.#pending.values()) this.#resend(pending);
  }

  /**
   * Sends a request, unless the server may have forgotten that it was sent before.
   *
   * @param {Pending} pending
   * @param {boolean} [repeat] Whether one that was sent may be sent again.
   */
  #resend(pending, repeat = true) {
    const { id, sentAt } = pending.stored;
    if (sentAt === undefined || (repeat && this.#age(pending) < this.#options.windowMs)) {
      this.#dispatch(pending);
    } else {
      this.#settle(id)?.reject(unsent(sentAt));
    }
  }

  /** @param {unknown} id */
  has(id) {
    return typeof id === 'string' && this.#pending.has(id);
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
    this.#read = null;
    this.#reading = 0;
  }

  /**
   * @param {StoredRequest} stored
   * @param {string} text
   * @param {{ timeoutMs: number, repeat: boolean, restored: boolean }} how
   */
  #wait(stored, text, { timeoutMs, repeat, restored }) {
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
      restored,
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
    if (this.#reading || this.held || !fits(stored, this.#scope) || !send(pending.text)) return false;
    pending.sentOn = this.#connection;
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

/** The time that a message may be under way, in milliseconds. */
const UNDER_WAY_MS = 10_000;

/**
 * @param {Scope} scope
 * @returns {Partial<{ place: string, user: string }>} What is known of it.
 */
function known({ place, user }) {
  return { ...(place !== undefined && { place }), ...(user !== undefined && { user }) };
}

/**
 * @param {StoredRequest} stored
 * @param {Scope} scope
 * @returns {boolean} Whether nothing speaks against its going there.
 */
function fits(stored, scope) {
  const same = (/** @type {'place' | 'user'} */ key) =>
    stored[key] === undefined || scope[key] === undefined || stored[key] === scope[key];
  return same('place') && same('user');
}

/** @param {number | undefined} sentAt */
function unsent(sentAt) {
  return sentAt === undefined
    ? new ClientError('unsent', 'made for another room, server or user')
    : new ClientError('unconfirmed', 'perhaps executed');
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
  // What a store does not know to have gone out, it must not have: it would be repeated as new.
  store?.put(stored).catch(() => store.remove(stored.id).catch(forget));
}

/** A store that fails makes a request forgettable, not impossible. */
function forget() {}
