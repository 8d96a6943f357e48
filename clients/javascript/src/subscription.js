/**
 * A channel that is listened to.
 *
 * @module
 */

import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { Position } from './position.js';

/** @import { Gap, Since } from './position.js' */
/** @import { GapMessage, Subscribed, Update } from './wire.js' */

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
  /** Ended by `unsubscribe`, for good. */
  Unsubscribed: 'unsubscribed',
});

/** @typedef {(typeof SubscriptionState)[keyof typeof SubscriptionState]} SubscriptionState */

/**
 * @typedef {object} SubscriptionEvents
 * @property {Update} update A publication to the channel; each once, in order.
 * @property {Gap} gap Publications were missed and will not come. What is shown should be loaded
 *   anew.
 * @property {{ missed: number }} recovered After a reconnect nothing is missing: so many updates
 *   follow that were missed meanwhile.
 * @property {ClientError} refused The server refuses the subscription.
 * @property {SubscriptionState} state Every change of state.
 */

/**
 * @typedef {object} SubscribeOptions
 * @property {Since} [since] Where to begin: the `position` of an earlier subscription. Default:
 *   with what is published from now on.
 */

/**
 * The controls of a subscription, for its owner.
 *
 * @typedef {object} SubscriptionControl
 * @property {() => void} wait There is no confirmation, or none any more.
 * @property {(error?: ClientError) => void} stop The client ended; with an error, if it gave up.
 * @property {(answer: Subscribed) => void} confirm
 * @property {(error: ClientError) => void} refuse
 * @property {() => void} end
 * @property {(update: Update) => boolean} take Returns whether it is new.
 * @property {(message: GapMessage) => void} skip
 */

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
 * @extends {Emitter<SubscriptionEvents>}
 */
export class Subscription extends Emitter {
  /** @type {SubscriptionState} */
  #state = 'subscribing';
  #position;
  #end;
  /** The end of iterations: why nothing more comes for now. @type {{ error?: ClientError | undefined } | null} */
  #over = null;
  /** Wakes the iterations. @type {Set<() => void>} */
  #readers = new Set();

  /**
   * @param {string} channel
   * @param {() => void} end Ends the subscription at its owner.
   * @param {(control: SubscriptionControl) => void} control Hands the owner what only the
   *   owner may do.
   * @param {SubscribeOptions} [options]
   */
  constructor(channel, end, control, { since } = {}) {
    super();
    /**
     * @readonly
     * @type {string}
     */
    this.channel = channel;
    this.#end = end;
    this.#position = new Position(since);
    control({
      wait: () => {
        this.#over = null;
        this.#change('subscribing');
      },
      stop: (error) => {
        this.#change('subscribing');
        this.#finish(error);
      },
      confirm: (answer) => {
        const missed = this.#position.resume(answer);
        this.#change('subscribed');
        if (typeof missed === 'number') this.emit('recovered', { missed });
        else if (missed) this.emit('gap', missed);
      },
      refuse: (error) => {
        this.#change('refused');
        this.#finish(error);
        this.emit('refused', error);
      },
      end: () => {
        this.#change('unsubscribed');
        this.#finish();
      },
      take: (update) => {
        // Before the confirmation comes what belongs to a predecessor.
        if (this.#state !== 'subscribed') return false;
        const news = this.#position.take(update.offset);
        if (typeof news === 'object') this.emit('gap', news);
        if (news) this.emit('update', update);
        return news !== false;
      },
      skip: (message) => {
        const gap = this.#position.skip(message);
        if (gap) this.emit('gap', gap);
      },
    });
  }

  /**
   * @returns {SubscriptionState}
   */
  get state() {
    return this.#state;
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
   * Ends the subscription, for everybody who shares it.
   */
  unsubscribe() {
    this.#end();
  }

  /**
   * The updates from now on, with the gaps between them, until the subscription ends or the client
   * is closed. Leaving the loop leaves the subscription as it is.
   *
   * Throws a `ClientError`, after what has come: `refused` when the server refuses the channel,
   * `closed` when the client gives up (state `failed`), `overflow` for a reader who is 1,000 behind.
   *
   * @returns {AsyncGenerator<Update | Gap, void, undefined>}
   */
  [Symbol.asyncIterator]() {
    /** @type {(Update | Gap)[]} */
    const queue = [];
    let overflow = false;
    let wake = () => {};
    /** @param {Update | Gap} event */
    const push = (event) => {
      if (queue.length < KEPT) queue.push(event);
      else overflow = true;
      wake();
    };
    const read = () => wake();
    this.#readers.add(read);
    const stops = [this.on('update', push), this.on('gap', push), () => this.#readers.delete(read)];
    const end = () => this.#over;
    return (async function* () {
      try {
        for (;;) {
          for (let event = queue.shift(); event; event = queue.shift()) yield event;
          if (overflow) throw new ClientError('overflow', 'updates wait');
          const over = end();
          if (over?.error) throw over.error;
          if (over) return;
          /** @type {Promise<void>} */
          const news = new Promise((resolve) => (wake = resolve));
          await news;
        }
      } finally {
        for (const stop of stops) stop();
      }
    })();
  }

  /** @param {ClientError} [error] */
  #finish(error) {
    this.#over = { error };
    for (const read of this.#readers) read();
  }

  /** @param {SubscriptionState} state */
  #change(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.emit('state', state);
  }
}
