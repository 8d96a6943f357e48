/**
 * Live updates by channel.
 *
 * @module
 */

import { defaultServer, endpointAddress } from './address.js';
import { Client } from './client.js';
import { ClientError, ErrorCode } from './errors.js';
import { State } from './states.js';
import { Subscription, SubscriptionState } from './subscription.js';

/** @import { TokenSource } from './address.js' */
/** @import { ClientOptions, StateChange } from './client.js' */
/** @import { SubscriptionControl } from './subscription.js' */
/** @import { LiveMessages, Subscribed, Update } from './wire.js' */

/**
 * @typedef {object} OwnLiveOptions
 * @property {string} [server] Address of the server. Default: where the page came from;
 *   without a page, `ws://localhost:3000`.
 */

/** @typedef {ClientOptions & OwnLiveOptions} LiveClientOptions */

/**
 * @typedef {object} Entry
 * @property {Subscription} subscription
 * @property {SubscriptionControl} control
 */

/**
 * Live updates of any number of channels over one connection, at `/live` of the server.
 *
 * @example
 * const live = new LiveClient(token);
 * const posts = live.subscribe('posts');
 * posts.on('update', ({ data }) => show(data.post));
 * live.connect();
 *
 * @extends {Client<LiveMessages>}
 */
export class LiveClient extends Client {
  /**
   * The token of the next attempt to connect, or the function that gets it.
   *
   * @type {TokenSource}
   */
  token;

  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Confirmations that this connection still owes, by channel. @type {Map<string, number>} */
  #owed = new Map();

  /**
   * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt.
   * @param {LiveClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`, `no-websocket`
   */
  constructor(token, options = {}) {
    const { server = defaultServer() } = options;
    super(() => endpointAddress(server, ['live'], this.token), options);
    this.token = token;
    // A server that cannot be addressed is told here, and not first by a state.
    endpointAddress(server, ['live'], null);

    this.on('state', (change) => this.#follow(change));
    this.on('subscribed', (message) => this.#confirm(message));
    this.on('update', (message) => this.#deliver(message));
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
   * connection. Several calls for one channel share one subscription.
   *
   * Updates published between two connections are not received.
   *
   * @param {string} channel
   * @returns {Subscription}
   * @throws {ClientError} `invalid-address` for an empty name.
   */
  subscribe(channel) {
    if (typeof channel !== 'string' || channel === '') {
      throw new ClientError(ErrorCode.InvalidAddress, 'a channel has a name');
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
    );
    this.#entries.set(channel, {
      subscription,
      control: /** @type {SubscriptionControl} */ (control),
    });
    this.#ask(channel);
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
    this.send({ type: 'unsubscribe', channel });
    entry.control.setState(SubscriptionState.Unsubscribed);
  }

  /**
   * @param {string} channel
   */
  #ask(channel) {
    if (this.send({ type: 'subscribe', channel })) {
      this.#owed.set(channel, (this.#owed.get(channel) ?? 0) + 1);
    }
  }

  /**
   * @param {StateChange} change
   */
  #follow({ state }) {
    if (state === State.Connected) {
      for (const channel of this.#entries.keys()) this.#ask(channel);
    } else {
      this.#owed.clear();
      for (const { control } of this.#entries.values()) {
        control.setState(SubscriptionState.Subscribing);
      }
    }
  }

  /**
   * @param {Subscribed} message
   */
  #confirm({ channel }) {
    // After subscribe, unsubscribe, subscribe, the first confirmation is not for the present
    // subscription.
    const owed = (this.#owed.get(channel) ?? 0) - 1;
    if (owed > 0) {
      this.#owed.set(channel, owed);
    } else {
      this.#owed.delete(channel);
      this.#entries.get(channel)?.control.setState(SubscriptionState.Subscribed);
    }
  }

  /**
   * @param {Update} update
   */
  #deliver(update) {
    this.#entries.get(update.channel)?.control.deliver(update);
  }
}
