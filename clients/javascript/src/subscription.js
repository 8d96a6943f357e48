/**
 * A channel that is listened to.
 *
 * @module
 */

import { Emitter } from './emitter.js';

/** @import { Update } from './wire.js' */

/**
 * The states of a subscription.
 */
export const SubscriptionState = Object.freeze({
  /** Asked for, or to be asked for as soon as there is a connection. */
  Subscribing: 'subscribing',
  /** The server has confirmed it; updates arrive. */
  Subscribed: 'subscribed',
  /** Ended by `unsubscribe`, for good. */
  Unsubscribed: 'unsubscribed',
});

/** @typedef {(typeof SubscriptionState)[keyof typeof SubscriptionState]} SubscriptionState */

/**
 * @typedef {object} SubscriptionEvents
 * @property {Update} update A publication to the channel.
 * @property {SubscriptionState} state Every change of state.
 */

/**
 * How the owner of a subscription drives it.
 *
 * @typedef {object} SubscriptionControl
 * @property {(state: SubscriptionState) => void} setState
 * @property {(update: Update) => void} deliver
 */

/**
 * A channel that is listened to; made by `LiveClient.subscribe`. It outlives connections:
 * the client asks for it again on each new one.
 *
 * @extends {Emitter<SubscriptionEvents>}
 */
export class Subscription extends Emitter {
  /** @type {SubscriptionState} */
  #state = SubscriptionState.Subscribing;
  #end;

  /**
   * @param {string} channel
   * @param {() => void} end Ends the subscription at its owner.
   * @param {(control: SubscriptionControl) => void} control Hands the owner what only the
   *   owner may do.
   */
  constructor(channel, end, control) {
    super();
    /**
     * @readonly
     * @type {string}
     */
    this.channel = channel;
    this.#end = end;
    control({
      setState: (state) => {
        if (state === this.#state) return;
        this.#state = state;
        this.emit('state', state);
      },
      deliver: (update) => this.emit('update', update),
    });
  }

  /**
   * @returns {SubscriptionState}
   */
  get state() {
    return this.#state;
  }

  /**
   * Ends the subscription, for everybody who shares it.
   */
  unsubscribe() {
    this.#end();
  }
}
