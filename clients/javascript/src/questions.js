/**
 * Questions: messages that are answered.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { ClientError, refused, tooLarge } from './errors.js';
import { textOf } from './message.js';
import { randomId } from './random-id.js';

/** @import { Timers } from './environment.js' */
/** @import { WireMessage } from './message.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { UserId } from './wire.js' */

/**
 * The place that requests go to, and their user.
 *
 * @typedef {object} Scope
 * @property {string | undefined} [place] The address: server, endpoint and room.
 * @property {string | undefined} [user] JSON of the user's id, if that is known.
 * @property {TokenSource} [source] Where the token comes from, which tells users apart before they are known.
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
 * @property {(reply: any) => void} resolve
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
 * The client that asks.
 *
 * @typedef {object} Asking
 * @property {string} state
 * @property {TokenSource} token
 * @property {() => string | undefined} place The address that the next attempt to connect leads to.
 * @property {(text: string) => boolean} sendRequest
 * @property {(text: string) => boolean} fits Tells whether the server takes so much.
 * @property {(type: string, event: unknown) => void} emit
 * @property {() => void} askWho Finds out who this is to the server.
 */

/**
 * @typedef {object} QuestionsOptions
 * @property {Asking} client
 * @property {Timers} timers
 * @property {() => number} now A time that only rises.
 * @property {() => number} date
 * @property {number} limit How many may wait for their answers.
 * @property {number} timeoutMs
 * @property {number} windowMs How long after it first went out a request may be repeated.
 * @property {UserId | undefined} user The user's id, if the application tells.
 */

/**
 * The messages that wait for their answers, in the order in which they were made. They live with the
 * connection on which they were asked.
 */
export class Questions {
  /**
   * True if the server answers by `id`; `null` until it has shown either.
   *
   * @type {boolean | null}
   */
  supported = null;
  /** The time after its first sending in which a request may be repeated, in milliseconds. */
  windowMs;
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

  /** @param {QuestionsOptions} options */
  constructor(options) {
    this.options = options;
    this.windowMs = options.windowMs;
  }

  /** True while an answer is due. */
  get waiting() {
    return this.any(wentOut);
  }

  /**
   * @protected
   * @param {(pending: Pending) => unknown} test
   */
  any(test) {
    return [...this.pending.values()].some(test);
  }

  /** A name for a message that no other has. */
  newId() {
    return `${this.#prefix}-${(this.#made += 1)}`;
  }

  /**
   * @param {object} message
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  add(message, { timeoutMs = this.options.timeoutMs, repeat = true } = {}) {
    return new Promise((resolve, reject) => {
      const { limit, timers, client } = this.options;
      const scope = this.scopeOfNew();
      if (this.supported === false) throw new ClientError('unsupported');
      if (this.pending.size >= limit) throw new ClientError('overflow');
      const id = this.newId();
      // As it stands now, whatever becomes of the objects.
      const text = textOf({ ...message, id });
      if (!client.fits(text)) throw tooLarge();
      const pending = { ...scope, id, text, repeat, resolve, reject, expiry: new Deadline(timers) };
      this.pending.set(id, pending);
      if (timeoutMs < Infinity) {
        pending.expiry.start(timeoutMs, () => this.settle(id)?.reject(new ClientError('timeout')));
      }
      this.begin(pending);
    });
  }

  /**
   * @protected
   * @returns {Scope}
   * @throws {ClientError} `unsent`
   */
  scopeOfNew() {
    if (this.options.client.state !== 'connected') throw new ClientError('unsent');
    return {};
  }

  /**
   * @protected
   * @param {Pending} pending
   */
  begin(pending) {
    this.dispatch(pending);
  }

  /**
   * An attempt to connect begins.
   *
   * @param {string} _address
   * @param {MaybeToken} _token
   * @param {TokenSource} _source Where the token came from.
   */
  enter(_address, _token, _source) {}

  /**
   * The server has told who this is, or cannot.
   *
   * @param {UserId} [_user]
   */
  identify(_user) {}

  /** There is a connection. */
  opened() {}

  /**
   * The connection is over.
   *
   * @param {boolean} isEnd Whether the client will not come back by itself.
   */
  released(isEnd) {
    this.drop(isEnd ? () => new ClientError('closed') : unsent);
  }

  /** The limit of the server is known better: what is larger is not sent, or not again. */
  refuseTooLarge() {
    this.drop(tooLarge, ({ text }) => !this.options.client.fits(text));
  }

  /** Some were dropped on the way: what has no answer goes out again, on the same connection. */
  repeat() {
    for (const pending of this.pending.values()) this.resend(pending, true);
  }

  /**
   * @protected
   * @param {Pending} pending
   * @param {boolean} _repeat Whether one that was sent may be sent again.
   */
  resend(pending, _repeat) {
    this.dispatch(pending);
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
    else pending.resolve(message.type === 'reply' && 'data' in message ? message['data'] : message);
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
   * @protected
   * @param {Pending} pending
   * @returns {boolean} Whether it went out.
   */
  dispatch(pending) {
    const { client, now, date } = this.options;
    if (!client.sendRequest(pending.text)) return false;
    pending.since ??= now();
    pending.sentAt ??= date();
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
    return pending;
  }
}

/** @param {Pending} pending */
export function wentOut({ sentAt }) {
  return sentAt !== undefined;
}

/** @param {Pending} pending */
export function unsent(pending) {
  return new ClientError(wentOut(pending) ? 'unconfirmed' : 'unsent');
}
