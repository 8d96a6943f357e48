/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { ClientError, refused, tooLarge } from './errors.js';
import { randomId } from './random-id.js';

/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */

/**
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} [place] The address: server, endpoint and room.
 * @property {string | undefined} [user] JSON of the user's id, if that is known.
 * @property {unknown} [source] Where the token comes from, which tells users apart before they are known.
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
 * @typedef {object} OwnPending
 * @property {string} id
 * @property {string} text As it goes out.
 * @property {(reply: WireMessage) => void} resolve
 * @property {(error: ClientError) => void} reject
 * @property {Deadline} expiry
 * @property {boolean} repeat
 * @property {boolean} [restored] Whether it is of an earlier page.
 * @property {number} [sentOn] The connection on which it last went out.
 * @property {number} [sentAt] When it first went out, in milliseconds since 1970.
 * @property {number} [since] When it first went out, by the time that only rises.
 */

/** @typedef {OwnPending & Scope} Pending */

/**
 * @typedef {object} RequestsOptions
 * @property {(text: string) => boolean} send
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {(request: { id: string, message: object, reply: Promise<WireMessage> }) => void} restored
 *   Told each request of an earlier page.
 * @property {(cause: unknown) => void} failed Told the first failure of the store.
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
  supported = null;
  /** The scope of the present attempt or connection. @type {Scope} */
  scope = {};
  /** How long after it first went out a request may be repeated, in milliseconds. */
  windowMs = Infinity;
  /** True while nothing may go out: what is being read is older. */
  reading = false;
  /**
   * @protected
   * @type {Map<string, Pending>}
   */
  pending = new Map();
  /**
   * @protected
   * @readonly
   */
  options;
  #prefix = randomId();
  #made = 0;
  /** The number of the present connection. */
  #connection = 0;
  /** True when the server has told who this is, or cannot. */
  #identified = false;

  /** @param {RequestsOptions} options */
  constructor(options) {
    this.options = options;
  }

  /** True while the server is to tell who this is, before anything goes out. */
  get held() {
    return (
      !this.#identified &&
      this.scope.user === undefined &&
      this.#any(({ restored, user }) => restored || user !== undefined)
    );
  }

  /** True while an answer is due. */
  get waiting() {
    return this.#any(wentOut);
  }

  /** @param {(pending: Pending) => unknown} test */
  #any(test) {
    return [...this.pending.values()].some(test);
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
  add(message, scope, { timeoutMs = this.options.timeoutMs, repeat = true } = {}) {
    return new Promise((resolve, reject) => {
      if (this.supported === false) throw new ClientError('unsupported');
      if (this.pending.size >= this.options.limit) throw new ClientError('overflow');
      const id = this.newId();
      // As it stands now, whatever becomes of the objects.
      const text = requestText(id, message);
      if (!this.options.fits(text)) throw tooLarge();
      const expiry = new Deadline(this.options.timers);
      const pending = { ...scope, id, text, expiry, repeat, resolve, reject };
      this.pending.set(id, pending);
      if (timeoutMs < Infinity) {
        expiry.start(timeoutMs, () => this.settle(id)?.reject(new ClientError('timeout')));
      }
      if (!this.#dispatch(pending)) this.keep(pending);
    });
  }

  /**
   * Keeps a request for the next page, or keeps it up to date.
   *
   * @protected
   * @param {Pending} _pending
   */
  keep(_pending) {}

  /**
   * Forgets a request that is over.
   *
   * @protected
   * @param {Pending} _pending
   */
  forget(_pending) {}

  /**
   * The present scope is known better.
   *
   * @protected
   */
  entered() {}

  /**
   * An attempt to connect begins. What waits for another place or user is given up.
   *
   * @param {Scope} scope `user` is absent where only the server knows.
   */
  enter(scope) {
    this.scope = scope;
    this.#identified = false;
    this.#sift();
  }

  /**
   * The server has told who this is, or cannot.
   *
   * @param {string} [user]
   */
  identify(user) {
    this.#identified = true;
    this.scope = { ...this.scope, user: this.scope.user ?? user };
    this.#sift();
    this.flush();
  }

  #sift() {
    this.drop(unsent, (pending) => this.isForeign(pending));
    const { place, user } = this.scope;
    for (const pending of this.pending.values()) {
      if (pending.restored) continue;
      const before = { ...pending };
      pending.place ??= place;
      pending.user ??= user;
      if (before.place !== pending.place || before.user !== pending.user) this.keep(pending);
    }
    this.entered();
  }

  /**
   * Tells whether a request is for another place or of another user, as far as they are known.
   *
   * @protected
   * @param {Pending} pending
   */
  isForeign({ place, user, source, restored }) {
    const { scope } = this;
    if (place !== undefined && scope.place !== undefined && place !== scope.place) return true;
    if (user === undefined) return restored ? scope.user !== undefined : source !== scope.source;
    // Those of a known user, and nobody knows who this is.
    return scope.user === undefined ? this.#identified : user !== scope.user;
  }

  /** There is a connection: everything goes out that has no answer yet. */
  opened() {
    this.#connection += 1;
    this.flush();
  }

  /** Sends what was not sent on this connection. */
  flush() {
    if (this.reading || this.held) return;
    for (const pending of this.pending.values()) {
      if (pending.sentOn !== this.#connection) this.#resend(pending, pending.repeat);
    }
  }

  /** The limit of the server is known better: what is larger is not sent, or not again. */
  refuseTooLarge() {
    this.drop(tooLarge, ({ text }) => !this.options.fits(text));
  }

  /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
  repeat() {
    for (const pending of this.pending.values()) this.#resend(pending, true);
  }

  /**
   * Sends a request, unless the server may have forgotten that it was sent before.
   *
   * @param {Pending} pending
   * @param {boolean} repeat Whether one that was sent may be sent again.
   */
  #resend(pending, repeat) {
    const { sentAt = 0, since = 0 } = pending;
    const { now, date } = this.options;
    // The longer one of what two clocks say: the one that only rises may stand still while the
    // machine sleeps, and the other may be set.
    const ageMs = Math.max(now() - since, date() - sentAt);
    if (!wentOut(pending) || (repeat && ageMs < this.windowMs)) this.#dispatch(pending);
    else this.settle(pending.id)?.reject(unsent(pending));
  }

  /** @param {unknown} id */
  has(id) {
    return this.pending.has(/** @type {string} */ (id));
  }

  /**
   * Takes the answer out of what the server sends.
   *
   * @param {WireMessage} message
   * @returns {boolean} Whether it is one.
   */
  answer(message) {
    const pending = this.settle(message['id']);
    if (!pending) return false;
    this.supported = true;
    if (message.type === 'error') pending.reject(refused(message));
    else pending.resolve(message);
    return true;
  }

  /**
   * The server has shown whether it answers by `id`. If it does not, what went out is not
   * repeated.
   *
   * @param {boolean} supported
   */
  support(supported) {
    this.supported = supported;
    if (!supported) this.drop(() => new ClientError('unsupported'), wentOut);
  }

  /** Gives up on all of them. */
  end() {
    this.drop(() => new ClientError('closed'));
  }

  /**
   * Rejects those that `test` picks.
   *
   * @protected
   * @param {(pending: Pending) => ClientError} error
   * @param {(pending: Pending) => unknown} [test]
   */
  drop(error, test = () => true) {
    for (const pending of this.pending.values()) {
      if (test(pending)) this.settle(pending.id)?.reject(error(pending));
    }
  }

  /**
   * @param {Pending} pending
   * @returns {boolean} Whether it went out.
   */
  #dispatch(pending) {
    const { send, now, date } = this.options;
    if (this.reading || this.held || this.isForeign(pending) || !send(pending.text)) return false;
    pending.sentOn = this.#connection;
    if (!wentOut(pending)) {
      pending.since = now();
      pending.sentAt = date();
      this.keep(pending);
    }
    return true;
  }

  /**
   * @protected
   * @param {any} id
   */
  settle(id) {
    const pending = this.pending.get(id);
    if (!pending) return null;
    this.pending.delete(id);
    pending.expiry.clear();
    this.forget(pending);
    return pending;
  }
}

/**
 * @param {string} id
 * @param {object} message
 * @returns {string}
 * @throws {ClientError} `invalid-message`
 */
export function requestText(id, message) {
  try {
    return JSON.stringify({ ...message, id });
  } catch (cause) {
    throw new ClientError('invalid-message', 'JSON cannot say this', { cause });
  }
}

/** @param {Pending} pending */
function wentOut({ sentAt }) {
  return sentAt !== undefined;
}

/** @param {Pending} pending */
export function unsent(pending) {
  return new ClientError(wentOut(pending) ? 'unconfirmed' : 'unsent');
}
