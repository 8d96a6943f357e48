/**
 * Live updates by channel.
 *
 * @module
 */

import { defaultServer, endpointAddress, placeOf } from './address.js';
import { Client } from './client.js';
import { ClientError, tooLarge } from './errors.js';
import { Subscription } from './subscription.js';

/** @import { ClientOptions } from './client.js' */
/** @import { WireMessage } from './message.js' */
/** @import { SubscribeOptions, SubscriptionControl } from './subscription.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { GapMessage, LiveMessages, Subscribed, Update } from './wire.js' */

/**
 * @typedef {object} OwnLiveOptions
 * @property {string} [server] Address of the server. Default: where the page came from;
 *   without a page, `ws://localhost:3000`.
 * @property {string} [path] Where the server has live updates. Default `live`.
 */

/** @typedef {Omit<ClientOptions, 'token'> & OwnLiveOptions} LiveClientOptions */

/**
 * @typedef {object} Entry
 * @property {Subscription} subscription
 * @property {SubscriptionControl} control
 * @property {boolean} asked Whether the server was asked for it, on this connection.
 */

/**
 * Live updates of any number of channels over one connection, at `/live` of the server or where
 * `path` says.
 *
 * @example
 * const live = new LiveClient(token);
 * const posts = live.subscribe('posts');
 * posts.on('update', ({ data }) => show(data.post));
 * posts.on('gap', () => reload());
 * live.connect();
 *
 * @extends {Client<LiveMessages>}
 */
export class LiveClient extends Client {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /**
   * The confirmations that this connection still owes, in the order in which they were asked for.
   *
   * @type {{ id: string, channel: string, entry: Entry }[]}
   */
  #owed = [];
  /** The channels that were left, and the server has not confirmed it, with the ids of the messages. @type {Map<string, string>} */
  #leaving = new Map();
  /** The subscriptions that were refused while others were being left. @type {Set<Entry>} */
  #refused = new Set();

  /**
   * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt and
   *   before the present one expires.
   * @param {LiveClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(token, options = {}) {
    const { server = defaultServer(), path = 'live' } = options;
    const address = (/** @type {MaybeToken} */ present) =>
      endpointAddress(server, path.replace(/^\/+|\/+$/g, '').split('/'), present);
    super(address, { ...options, token });
    // A server that cannot be addressed is told here, and not first by a state.
    this.requests.scope.place = placeOf(address(null));

    this.on('state', ({ state }) => {
      if (state === 'connected') return;
      const gaveUp = state === 'failed' ? new ClientError('closed', 'the client gave up') : undefined;
      for (const { control } of this.#entries.values()) {
        if (state === 'closed' || gaveUp) control.stop(gaveUp);
        else control.wait();
      }
    });
  }

  /**
   * The subscriptions, in the order in which they were made.
   *
   * @returns {Subscription[]}
   */
  get subscriptions() {
    return Array.from(this.#entries.values(), ({ subscription }) => subscription);
  }

  /**
   * Subscribes to a channel, now or as soon as there is a connection, and again on each new
   * connection, from where it stood. Several calls for one channel share one subscription.
   *
   * @param {string} channel
   * @param {SubscribeOptions} [options] Of the first call for the channel.
   * @returns {Subscription}
   * @throws {ClientError} `invalid-address` for an empty name, `invalid-option` for a position that
   *   is none.
   */
  subscribe(channel, options) {
    if (typeof channel !== 'string' || channel === '') {
      throw new ClientError('invalid-address', 'no channel name');
    }
    const known = this.#entries.get(channel);
    if (known) return known.subscription;

    /** @type {SubscriptionControl | undefined} */
    let control;
    const subscription = new Subscription(
      channel,
      () => {
        // An old subscription must not end its successor.
        if (this.#entries.get(channel)?.subscription === subscription) this.unsubscribe(channel);
      },
      (given) => (control = given),
      options,
    );
    const entry = { subscription, control: /** @type {SubscriptionControl} */ (control), asked: false };
    this.#entries.set(channel, entry);
    this.#ask(channel, entry);
    return subscription;
  }

  /**
   * Ends the subscription to a channel; without one, does nothing.
   *
   * @param {string} channel
   */
  unsubscribe(channel) {
    const entry = this.#entries.get(channel);
    if (!entry) return;
    this.#entries.delete(channel);
    // One that the server was not asked for, it does not have.
    if (entry.asked) this.#leave(channel, this.requests.newId());
    entry.control.end();
  }

  /**
   * @param {string} channel
   * @param {string} id
   */
  #leave(channel, id) {
    this.#leaving.set(channel, id);
    if (!this.paused) this.send({ type: 'unsubscribe', channel, id });
  }

  /**
   * @override
   * @protected
   */
  opened() {
    // Before the requests, whose effects may be heard on these channels.
    for (const [channel, entry] of this.#entries) this.#ask(channel, entry);
    super.opened();
  }

  /**
   * @override
   * @protected
   */
  get expectant() {
    return this.#owed.length > 0;
  }

  /**
   * @override
   * @protected
   * @type {Client['released']}
   */
  released(isEnd, code) {
    super.released(isEnd, code);
    this.#owed = [];
    this.#leaving.clear();
    this.#refused.clear();
    for (const entry of this.#entries.values()) entry.asked = false;
  }

  /**
   * @override
   * @protected
   * @param {WireMessage} message
   */
  accept(message) {
    const control = this.#entries.get(message['channel'])?.control;
    switch (message.type) {
      case 'subscribed':
        this.requests.support(typeof message['epoch'] === 'string');
        this.#settle(message)?.control.confirm(/** @type {Subscribed} */ (message));
        break;
      case 'unsubscribed':
        if (message['id'] === undefined || message['id'] === this.#leaving.get(message['channel'])) {
          this.#leaving.delete(message['channel']);
        }
        if (this.#leaving.size === 0) this.#askAgain();
        break;
      case 'error':
        if (message['id'] !== undefined && !(message['retryAfterMs'] >= 0)) this.#refuse(message);
        break;
      case 'update':
        return control?.take(/** @type {Update} */ (message)) ?? true;
      case 'gap':
        control?.skip(/** @type {GapMessage} */ (message));
        break;
    }
    return true;
  }

  /**
   * Makes the server's subscriptions those that are wanted: messages either way may have been dropped.
   *
   * @override
   * @protected
   */
  resumed() {
    for (const [channel, id] of [...this.#leaving]) {
      if (this.#entries.has(channel)) this.#leaving.delete(channel);
      else this.#leave(channel, id);
    }
    const owed = new Map(this.#owed.map(({ id, entry }) => [entry, id]));
    this.#owed = [];
    for (const [channel, entry] of this.#entries) {
      const { state } = entry.subscription;
      if (state === 'subscribing' && !this.#refused.has(entry)) this.#ask(channel, entry, owed.get(entry));
    }
    super.resumed();
  }

  /** Asks for what was refused while others were being left: there may be room now. */
  #askAgain() {
    const again = [...this.#refused];
    this.#refused.clear();
    for (const entry of again) {
      const { channel } = entry.subscription;
      if (this.#entries.get(channel) === entry) this.#ask(channel, entry);
    }
  }

  /** @param {WireMessage} answer */
  #refuse(answer) {
    const entry = this.#settle(answer);
    if (!entry) return;
    const { code } = answer;
    // An older server does not say why.
    if (this.#leaving.size > 0 && (code === undefined || code === 'too-many-channels')) {
      this.#refused.add(entry);
      return;
    }
    entry.asked = false;
    entry.control.refuse(new ClientError('refused', String(answer['message']), { cause: answer }));
  }

  /**
   * @param {string} channel
   * @param {Entry} entry
   * @param {string} [id] That of an earlier message, which was perhaps dropped.
   */
  #ask(channel, entry, id = this.requests.newId()) {
    // At the end of the pause everything that is wanted is asked for.
    if (this.paused) return;
    const since = entry.subscription.position;
    const message = { type: 'subscribe', channel, id, ...(since && { since }) };
    if (!this.fits(message)) entry.control.refuse(tooLarge());
    else if (this.send(message)) {
      entry.asked = true;
      this.#owed.push({ id, channel, entry });
    }
  }

  /**
   * The subscription that an answer concerns: by its `id` or, where it has none, the first that was
   * asked for.
   *
   * @param {WireMessage} answer
   * @returns {Entry | undefined} None, if the subscription was ended meanwhile.
   */
  #settle({ id, channel }) {
    const place = this.#owed.findIndex((owed) =>
      id === undefined ? owed.channel === channel : owed.id === id,
    );
    const [owed] = place < 0 ? [] : this.#owed.splice(place, 1);
    return owed && this.#entries.get(owed.channel) === owed.entry ? owed.entry : undefined;
  }
}
