/**
 * Live updates by channel.
 *
 * @module
 */

import { defaultServer, endpointAddress } from './address.js';
import { decode, encoded } from './bytes.js';
import { Deadline } from './deadline.js';
import { ClientError, refused, tooLarge } from './errors.js';
import { randomId } from './random-id.js';
import { Session } from './session.js';
import { Subscription } from './subscription.js';

/** @import { WireMessage } from './message.js' */
/** @import { RequestOptions } from './questions.js' */
/** @import { ClientOptions } from './session.js' */
/** @import { SubscribeOptions } from './subscription.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { ChannelHistory, GapMessage, LiveMessages, Renewed, Subscribed, Update, UpdateDeleted } from './wire.js' */

/**
 * @typedef {object} OwnLiveOptions
 * @property {string} [server] Address of the server. Default: where the page came from;
 *   without a page, `ws://localhost:3000`.
 * @property {string} [path] Where the server has live updates. Default `live`.
 * @property {string} [device] The name of this device in channels with presence, 1 to 64 bytes that only the
 *   server sees: by it a connection that was lost is known again. Of two that are there at once each is a
 *   device. Default: a random one, which outlives a reload of the page.
 */

/** @typedef {Omit<ClientOptions, 'token'> & OwnLiveOptions} LiveClientOptions */

/**
 * @typedef {object} HistoryOptions
 * @property {number} [before] The `offset` of the oldest publication that is here, or the `next` of the page before.
 *   Default: from the newest.
 * @property {number} [limit] How many, at most. Default 50; the server gives 300 at most.
 */

/**
 * @typedef {object} LiveLocalEvents
 * @property {Subscription} joined The server has subscribed this client to a channel that nobody here had
 *   asked for, as a user's own: `subscribe` gives the same subscription.
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
 * @template {object} [Messages={}] Further messages of the server, by their `type`.
 * @extends {Session<LiveMessages & LiveLocalEvents & Messages>}
 */
export class LiveClient extends Session {
  /**
   * @override
   * @protected
   * @type {ReadonlySet<unknown>}
   */
  static localEvents = new Set([...super.localEvents, 'joined']);

  /** The subscriptions that are wanted. @type {Map<string, Subscription>} */
  #wanted = new Map();
  /**
   * The subscriptions whose confirmations this connection still owes, with the ids of the messages, in
   * the order in which they were asked for.
   *
   * @type {Map<Subscription, string>}
   */
  #owed = new Map();
  /** The channels that were left, and the server has not confirmed it, with the ids of the messages. @type {Map<string, string>} */
  #leaving = new Map();
  /** The subscriptions that were refused while others were being left. @type {Set<Subscription>} */
  #refused = new Set();
  /** The time to ask again for what the server could not go on with. */
  #retry = new Deadline(this.environment.timers);
  #place;
  #device;

  /**
   * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt and
   *   before the present one expires.
   * @param {LiveClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(token, options = {}) {
    const { server = defaultServer(), path = 'live', device = deviceName() } = options;
    const address = (/** @type {MaybeToken} */ present) =>
      endpointAddress(server, path.replace(/^\/+|\/+$/g, '').split('/'), present);
    super(address, { greet: true, ...options, token });
    this.#device = device;
    // A server that cannot be addressed is told here, and not first by a state.
    this.#place = address(null);

    this.on('state', ({ state }) => {
      if (state === 'connected') return;
      for (const subscription of this.subscriptions) this.#wait(subscription);
    });
  }

  /**
   * There is no connection: a subscription waits for one, or nothing more comes for now.
   *
   * @param {Subscription} subscription
   */
  #wait(subscription) {
    const { state, reason } = this;
    const error = state === 'failed' ? new ClientError('closed') : undefined;
    const isOver = error || (state === 'closed' && reason === 'close-called');
    subscription.turn('subscribing', isOver ? { error } : null);
  }

  /**
   * The subscriptions, in the order in which they were made.
   *
   * @returns {Subscription[]}
   */
  get subscriptions() {
    return [...this.#wanted.values()];
  }

  /**
   * Subscribes to a channel, now or as soon as there is a connection, and again on each new
   * connection, from where it stood. Several calls for one channel share one subscription.
   *
   * @template [T=any] What is published in the channel; a claim that nobody checks.
   * @template [I=any] Its initial state; likewise.
   * @param {string} channel
   * @param {SubscribeOptions} [options] Of the first call for the channel.
   * @returns {Subscription<T, I>}
   * @throws {ClientError} `invalid-address` for an empty name, `invalid-option` for a position that
   *   is none.
   */
  subscribe(channel, options) {
    if (typeof channel !== 'string' || channel === '') {
      throw new ClientError('invalid-address');
    }
    const known = this.#wanted.get(channel);
    if (known) return known;
    const subscription = this.#add(channel, options);
    this.#ask(subscription);
    if (this.state !== 'connected' && subscription.state === 'subscribing') this.#wait(subscription);
    return subscription;
  }

  /**
   * @param {string} channel
   * @param {SubscribeOptions} [options]
   */
  #add(channel, options) {
    // An old subscription must not end its successor.
    const leave = (/** @type {Subscription} */ old) => this.#isWanted(old) && this.unsubscribe(channel);
    const subscription = new Subscription(this, channel, leave, options);
    this.#wanted.set(channel, subscription);
    return subscription;
  }

  /** @param {Subscription} subscription */
  #isWanted(subscription) {
    return this.#wanted.get(subscription.channel) === subscription;
  }

  /**
   * Ends the subscription to a channel; without one, does nothing.
   *
   * @param {string} channel
   */
  unsubscribe(channel) {
    const subscription = this.#wanted.get(channel);
    if (!subscription) return;
    this.#wanted.delete(channel);
    // One that the server was not asked for, it does not have.
    if (subscription.state === 'subscribed' || this.#owed.has(subscription)) {
      this.#leave(channel, this.requests.newId());
    }
    subscription.turn('unsubscribed', {});
  }

  /**
   * Publishes to a channel, where the server lets clients do so.
   *
   * @param {string} channel
   * @param {any} data Anything that JSON can say; or bytes, as a `Uint8Array` or an `ArrayBuffer`: who listens gets
   *   a `Uint8Array`.
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>} The answer, with the `epoch` and `offset` of the publication, where the
   *   channel has positions. Rejects as `request` does.
   */
  publish(channel, data, options) {
    return this.request({ type: 'publish', channel, ...encoded(data) }, options);
  }

  /**
   * Asks for older publications of a channel that keeps some, whether or not it is subscribed to.
   *
   * @example
   * let page = await live.history('posts');
   * while (page.more) page = await live.history('posts', { before: page.next });
   *
   * @template [T=any] What is published in the channel; a claim that nobody checks.
   * @param {string} channel
   * @param {HistoryOptions} [options]
   * @returns {Promise<ChannelHistory<T>>} The newest of those before it, oldest first; rejects as `request` does
   *   (`no-history` is the `refusal` of a channel that keeps none), with the connection if that is lost, and after 15
   *   seconds.
   */
  history(channel, { before, limit } = {}) {
    const question = { type: 'channel-history', channel, before, limit };
    return this.request(question, { repeat: false, timeoutMs: 15_000 });
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
  place() {
    return this.#place;
  }

  /**
   * @override
   * @protected
   */
  opened() {
    // Before the requests, whose effects may be heard on these channels.
    for (const subscription of this.subscriptions) this.#ask(subscription);
    super.opened();
  }

  /**
   * @override
   * @protected
   * @type {Session['released']}
   */
  released(isEnd, code) {
    super.released(isEnd, code);
    this.#retry.clear();
    for (const known of [this.#owed, this.#leaving, this.#refused]) known.clear();
  }

  /**
   * @override
   * @protected
   * @param {WireMessage} message
   */
  accept(message) {
    const { id, channel } = message;
    const subscription = this.#wanted.get(channel);
    switch (message.type) {
      case 'subscribed':
        this.requests.support(typeof message['epoch'] === 'string');
        if (message['joined'] && id === undefined) this.#join(/** @type {Subscribed} */ (message));
        else this.#settle(message)?.confirm(/** @type {Subscribed} */ (message));
        break;
      case 'unsubscribed':
        if (message['code'] !== undefined) {
          // Before the confirmation comes the end of a predecessor.
          if (subscription?.state === 'subscribed') this.#end(subscription, message);
          break;
        }
        if (id === undefined || id === this.#leaving.get(channel)) this.#leaving.delete(channel);
        if (this.#leaving.size > 0) break;
        // There may be room now for what was refused while others were being left.
        for (const refused of this.#refused) if (this.#isWanted(refused)) this.#ask(refused);
        this.#refused.clear();
        break;
      case 'error':
        if (id !== undefined && !(message['retryAfterMs'] >= 0)) this.#refuse(message);
        break;
      case 'channel-history':
        for (const publication of /** @type {ChannelHistory} */ (message).publications) decode(publication);
        break;
      case 'update':
        decode(message);
        return subscription?.take(/** @type {Update} */ (message)) ?? true;
      case 'deleted':
        subscription?.pass(/** @type {UpdateDeleted} */ (message));
        break;
      case 'gap':
        subscription?.skip(/** @type {GapMessage} */ (message));
        break;
      case 'renewed':
        subscription?.renew(/** @type {Renewed} */ (message));
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
      if (this.#wanted.has(channel)) this.#leaving.delete(channel);
      else this.#leave(channel, id);
    }
    for (const subscription of [...this.#owed.keys()]) {
      if (!this.#isWanted(subscription)) this.#owed.delete(subscription);
    }
    for (const subscription of this.subscriptions) {
      if (subscription.state === 'subscribing' && !this.#refused.has(subscription)) this.#ask(subscription);
    }
    super.resumed();
  }

  /**
   * The server has subscribed this client of its own accord.
   *
   * @param {Subscribed} message
   */
  #join(message) {
    const { channel } = message;
    const known = this.#wanted.get(channel);
    // One that has a position is asked for from there, which the server does not know.
    if (known?.position || this.#leaving.has(channel)) return;
    const subscription = known ?? this.#add(channel);
    // Whatever is answered to an own wish is no news.
    this.#owed.delete(subscription);
    subscription.confirm(message);
    if (!known) this.emit('joined', subscription);
  }

  /**
   * The server has ended a subscription.
   *
   * @param {Subscription} subscription
   * @param {WireMessage} message
   */
  #end(subscription, message) {
    const { retryAfterMs } = message;
    if (retryAfterMs >= 0) {
      subscription.turn('subscribing');
      this.#retry.start(retryAfterMs, () => this.resumed());
    } else {
      this.#wanted.delete(subscription.channel);
      subscription.turn('unsubscribed', { error: refused(message) });
    }
  }

  /** @param {WireMessage} answer */
  #refuse(answer) {
    const subscription = this.#settle(answer);
    if (!subscription) return;
    const { code } = answer;
    // An older server does not say why.
    if (this.#leaving.size > 0 && (code === undefined || code === 'too-many-channels')) {
      this.#refused.add(subscription);
    } else {
      subscription.turn('refused', { error: refused(answer) });
    }
  }

  /** @param {Subscription} subscription */
  #ask(subscription) {
    // At the end of the pause everything that is wanted is asked for.
    if (this.paused) return;
    const { channel, position: since } = subscription;
    // If an earlier message was perhaps dropped, that is repeated.
    const id = this.#owed.get(subscription) ?? this.requests.newId();
    const message = { type: 'subscribe', channel, id, device: this.#device, ...(since && { since }) };
    if (!this.fits(JSON.stringify(message))) subscription.turn('refused', { error: tooLarge() });
    else if (this.send(message)) this.#owed.set(subscription, id);
  }

  /**
   * The subscription that an answer concerns: by its `id` or, where it has none, the first that was
   * asked for.
   *
   * @param {WireMessage} answer
   * @returns {Subscription | undefined} None, if the subscription was ended meanwhile.
   */
  #settle({ id, channel }) {
    for (const [subscription, asked] of this.#owed) {
      if (id === undefined ? subscription.channel !== channel : asked !== id) continue;
      this.#owed.delete(subscription);
      return this.#isWanted(subscription) ? subscription : undefined;
    }
    return undefined;
  }
}

/** The name of the entry of the tab’s storage that holds the name of its device. */
const DEVICE_KEY = 'nextrush-device';

function deviceName() {
  try {
    const { sessionStorage } = globalThis;
    const name = sessionStorage.getItem(DEVICE_KEY) ?? randomId();
    sessionStorage.setItem(DEVICE_KEY, name);
    return name;
  } catch {
    // There is none, or none for this page.
    return randomId();
  }
}
