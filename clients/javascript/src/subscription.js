/**
 * A channel that is listened to.
 *
 * @module
 */

import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { Position } from './position.js';

/** @import { HistoryOptions, LiveClient } from './live-client.js' */
/** @import { WireMessage } from './message.js' */
/** @import { Gap, Since } from './position.js' */
/** @import { RequestOptions } from './questions.js' */
/** @import { ChannelHistory, GapMessage, Initial, Renewed, Subscribed, Update, UpdateDeleted } from './wire.js' */

/**
 * The states of a subscription.
 */
export const SubscriptionState = /* @__PURE__ */ Object.freeze({
  /** Asked for, or to be asked for as soon as there is a connection. */
  Subscribing: 'subscribing',
  /** The server has confirmed it; updates arrive. */
  Subscribed: 'subscribed',
  /** The server has refused it. It is asked again on the next connection. */
  Refused: 'refused',
  /** Ended by `unsubscribe` or by the server, for good. */
  Unsubscribed: 'unsubscribed',
});

/** @typedef {(typeof SubscriptionState)[keyof typeof SubscriptionState]} SubscriptionState */

/**
 * @template [T=any]
 * @template [I=any]
 * @typedef {object} SubscriptionEvents
 * @property {Update<T>} update A publication to the channel; each once, in order.
 * @property {UpdateDeleted} deleted An update was deleted at the server: one that was received, or
 *   one in whose place this comes. Iterations leave it out.
 * @property {Gap} gap Publications were missed and will not come. What is shown should be loaded
 *   anew.
 * @property {{ missed: number }} recovered After a reconnect nothing is missing: so many updates
 *   follow that were missed meanwhile.
 * @property {Initial<I>} initial The state of the channel at the position where its updates begin, where
 *   the server tells one: at first, and whenever what was missed does not come.
 * @property {ClientError} refused The server refuses the subscription.
 * @property {ClientError} unsubscribed The server has ended the subscription, and `refusal` says why:
 *   `kicked`, or whatever its rule for the channel says now. Whoever subscribes again asks it again.
 * @property {SubscriptionState} state Every change of state.
 */

/**
 * @typedef {object} SubscribeOptions
 * @property {Since} [since] Where to begin: the `position` of an earlier subscription. Default:
 *   with what is published from now on.
 */

/**
 * The end of an iteration: why nothing more comes for now.
 *
 * @typedef {{ error?: ClientError | undefined }} End
 */

/** The event of an end, which the iterations alone hear. */
const END = /* @__PURE__ */ Symbol();

/** The number of updates that an iteration keeps for a slow reader. */
const KEPT = 1_000;

/**
 * A channel that is listened to; made by `LiveClient.subscribe`. It outlives connections: the
 * client asks for it again on each new one, from where it stood.
 *
 * @example
 * for await (const event of live.subscribe('posts')) {
 *   if (event.type === 'gap') await reload();
 *   else show(event.data);
 * }
 *
 * @template [T=any] What is published in the channel.
 * @template [I=any] Its initial state.
 * @extends {Emitter<SubscriptionEvents<T, I>>}
 */
export class Subscription extends Emitter {
  /** @type {SubscriptionState} */
  #state = 'subscribing';
  #position;
  #leave;
  /** @type {End | null} */
  #end = null;
  /**
   * The newest that came: an update, or the initial state if nothing came since.
   *
   * @type {Update<T> | Initial<I> | undefined}
   */
  last;

  /**
   * @param {LiveClient<any>} client
   * @param {string} channel
   * @param {(subscription: Subscription<T, I>) => void} leave Ends the subscription at its owner.
   * @param {SubscribeOptions} [options]
   */
  constructor(client, channel, leave, { since } = {}) {
    super();
    /**
     * @readonly
     * @type {LiveClient<any>}
     */
    this.client = client;
    /**
     * @readonly
     * @type {string}
     */
    this.channel = channel;
    this.#leave = leave;
    this.#position = new Position(since);
  }

  /**
   * @returns {SubscriptionState}
   */
  get state() {
    return this.#state;
  }

  /**
   * The error with which the server refused or ended it, or the client gave up, if so.
   *
   * @returns {ClientError | undefined}
   */
  get error() {
    return this.#end?.error;
  }

  /**
   * The position up to which the channel was received, if the server keeps positions: another
   * subscription can go on there, also that of another page.
   *
   * @returns {Since | null}
   */
  get position() {
    return this.#position.since;
  }

  /**
   * Sends a request about this channel.
   *
   * @template [R=WireMessage]
   * @param {object} message Gets a field `channel`, and an `id`.
   * @param {RequestOptions} [options]
   * @returns {Promise<R>} As of the client's own `request`.
   */
  request(message, options) {
    return this.client.request({ ...message, channel: this.channel }, options);
  }

  /**
   * Publishes to the channel, where the server lets clients do so; this client is told too.
   *
   * @param {T | ArrayBuffer} data Anything that JSON can say, or bytes: see `LiveClient.publish`.
   * @param {RequestOptions} [options]
   * @returns {Promise<WireMessage>} The answer, with the `epoch` and `offset` of the publication, where the
   *   channel has positions. Rejects as the client's own `request`.
   */
  publish(data, options) {
    return this.client.publish(this.channel, data, options);
  }

  /**
   * Asks for older publications, where the channel keeps some.
   *
   * @param {HistoryOptions} [options]
   * @returns {Promise<ChannelHistory<T>>} The newest of those before it, oldest first; see `LiveClient.history`.
   */
  history(options) {
    return this.client.history(this.channel, options);
  }

  /**
   * Ends the subscription, for everybody who shares it.
   */
  unsubscribe() {
    this.#leave(this);
  }

  /**
   * Changes the state, for the owner.
   *
   * @internal
   * @param {SubscriptionState} state
   * @param {End | null} [end] Why nothing more comes for now, if so.
   */
  turn(state, end = null) {
    this.#end = end;
    if (state !== this.#state) {
      this.#state = state;
      this.emit('state', state);
    }
    if (end) this.emit(END, end);
    // A client that gives up has ended nothing for good.
    if (end?.error && state !== 'subscribing') this.emit(state, end.error);
  }

  /**
   * The server has confirmed the subscription.
   *
   * @internal
   * @param {Subscribed} answer
   */
  confirm(answer) {
    const missed = this.#position.resume(answer);
    this.turn('subscribed');
    if (typeof missed === 'number') this.emit('recovered', { missed });
    else this.#tell(missed);
    const { channel, data } = answer;
    if (data === undefined) return;
    this.last = { type: 'initial', channel, data };
    this.emit('initial', this.last);
  }

  /**
   * An update came.
   *
   * @internal
   * @param {Update<T>} update
   * @returns {boolean} Whether it is new.
   */
  take(update) {
    // Before the confirmation comes what belongs to a predecessor.
    if (this.#state !== 'subscribed') return false;
    const news = this.#position.take(update.offset);
    if (!news) return false;
    if (news !== true) this.#tell(news);
    this.last = update;
    this.emit('update', update);
    return true;
  }

  /**
   * An update was deleted.
   *
   * @internal
   * @param {UpdateDeleted} message
   */
  pass(message) {
    if (this.#state !== 'subscribed') return;
    this.#position.pass(message.offset);
    this.emit('deleted', message);
  }

  /**
   * The server says that publications are lost.
   *
   * @internal
   * @param {GapMessage} message
   */
  skip(message) {
    this.#tell(this.#position.skip(message));
  }

  /**
   * The stream goes on under another epoch.
   *
   * @internal
   * @param {Renewed} message
   */
  renew(message) {
    this.#tell(this.#position.renew(message));
  }

  /** @param {Gap | null} gap */
  #tell(gap) {
    if (gap) this.emit('gap', gap);
  }

  /**
   * The updates from now on, with the gaps and initial states between them, until the subscription ends or the client
   * is closed. Leaving the loop leaves the subscription as it is.
   *
   * Throws a `ClientError`, after what has come: `refused` when the server refuses or ends the channel,
   * `closed` when the client gives up (state `failed`), `overflow` for a reader who is 1,000 behind.
   *
   * @returns {AsyncGenerator<Update<T> | Initial<I> | Gap, void, undefined>}
   */
  [Symbol.asyncIterator]() {
    /** @type {(Update<T> | Initial<I> | Gap | End)[]} */
    const queue = this.#end ? [this.#end] : [];
    let wake = () => {};
    /** @param {Update<T> | Initial<I> | Gap | End} event */
    const push = (event) => {
      if (queue.length < KEPT || !('type' in event)) queue.push(event);
      else queue[KEPT] = { error: new ClientError('overflow') };
      wake();
    };
    const stops = ['initial', 'update', 'gap', END].map((type) => this.on(/** @type {any} */ (type), push));
    return (async function* () {
      try {
        for (;;) {
          const event = queue.shift();
          if (!event) await new Promise((resolve) => (wake = () => resolve(null)));
          else if ('type' in event) yield event;
          else if (event.error) throw event.error;
          else return;
        }
      } finally {
        for (const stop of stops) stop();
      }
    })();
  }
}
