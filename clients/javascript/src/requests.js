/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */

import { placeOf } from './address.js';
import { Questions, unsent, wentOut } from './questions.js';
import { userKey, userOf } from './token.js';

/** @import { Pending, Scope } from './questions.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { UserId } from './wire.js' */

/**
 * The requests that wait for their answers, in the order in which they were made. They go out
 * as soon as there is a connection, and again on the next one if it was lost meanwhile: the
 * server answers a repeat from memory, as long as it remembers.
 *
 * A request is for one place and of one user. It goes nowhere else, and in nobody else's name.
 */
export class Requests extends Questions {
  /**
   * The scope of the present attempt or connection.
   *
   * @protected
   * @type {Scope}
   */
  scope = {};
  /**
   * True while nothing may go out: what is being read is older.
   *
   * @protected
   */
  reading = false;
  /** The user that is known last, by a token or the server, and where the token came from. @type {Scope} */
  #known = {};
  /** The number of the present connection. */
  #connection = 0;
  /** True when the server has told who this is, or cannot. */
  #identified = false;

  /** True while the server is to tell who this is, before anything goes out. */
  get #held() {
    return (
      !this.#identified &&
      this.scope.user === undefined &&
      this.any(({ restored, user }) => restored || user !== undefined)
    );
  }

  /**
   * @override
   * @protected
   * @returns {Scope}
   */
  scopeOfNew() {
    const { client, user } = this.options;
    if (client.state === 'connected') return this.scope;
    const { token: source } = client;
    // A source of tokens is expected to go on with the same user, until a token or the server says
    // otherwise.
    const known = this.#known.source === source ? this.#known.user : undefined;
    const address = client.place();
    const place = address === undefined ? this.scope.place : placeOf(address);
    return { place, user: userKey(user) ?? userOf(source) ?? known, source };
  }

  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  begin(pending) {
    if (!this.dispatch(pending)) this.keep(pending);
  }

  /**
   * Keeps a request for the next page, or keeps it up to date.
   *
   * @protected
   * @param {Pending} _pending
   */
  keep(_pending) {}

  /**
   * The present scope is known better.
   *
   * @protected
   */
  entered() {}

  /**
   * An attempt to connect begins. What waits for another place or user is given up.
   *
   * @override
   * @param {string} address
   * @param {MaybeToken} token
   * @param {TokenSource} source
   */
  enter(address, token, source) {
    // Where neither tells the user, only the server knows.
    this.scope = { place: placeOf(address), user: userKey(this.options.user) ?? userOf(token), source };
    this.#identified = false;
    this.#sift();
  }

  /**
   * @override
   * @param {UserId} [id]
   */
  identify(id) {
    const { scope } = this;
    this.#identified = true;
    this.scope = { ...scope, user: scope.user ?? userKey(id) };
    this.#sift();
    this.flush();
  }

  #sift() {
    const { user: own, source } = this.scope;
    if (own !== undefined) this.#known = { source, user: own };
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

  /**
   * Everything goes out that has no answer yet.
   *
   * @override
   */
  opened() {
    this.#connection += 1;
    this.flush();
  }

  /**
   * The connection is over. Requests wait for the next one, unless this is the end.
   *
   * @override
   * @param {boolean} isEnd
   */
  released(isEnd) {
    if (isEnd) super.released(isEnd);
  }

  /**
   * Sends what was not sent on this connection.
   *
   * @protected
   */
  flush() {
    if (this.reading) return;
    if (this.#held) return this.options.client.askWho();
    for (const pending of this.pending.values()) {
      if (pending.sentOn !== this.#connection) this.resend(pending, pending.repeat);
    }
  }

  /**
   * Sends a request, unless the server may have forgotten that it was sent before.
   *
   * @override
   * @protected
   * @param {Pending} pending
   * @param {boolean} repeat
   */
  resend(pending, repeat) {
    const { sentAt = 0, since = 0 } = pending;
    const { now, date } = this.options;
    // The longer one of what two clocks say: the one that only rises may stand still while the
    // machine sleeps, and the other may be set.
    const ageMs = Math.max(now() - since, date() - sentAt);
    if (!wentOut(pending) || (repeat && ageMs < this.windowMs)) this.dispatch(pending);
    else this.settle(pending.id)?.reject(unsent(pending));
  }

  /**
   * @override
   * @protected
   * @param {Pending} pending
   */
  dispatch(pending) {
    const isFirst = !wentOut(pending);
    if (this.reading || this.#held || this.isForeign(pending) || !super.dispatch(pending)) return false;
    pending.sentOn = this.#connection;
    if (isFirst) this.keep(pending);
    return true;
  }
}
