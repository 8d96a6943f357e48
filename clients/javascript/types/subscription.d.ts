/**
 * A channel that is listened to.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import type { Update } from './wire.js';
/** @import { Update } from './wire.js' */
/**
 * The states of a subscription.
 */
export declare const SubscriptionState: Readonly<{
    /** Asked for, or to be asked for as soon as there is a connection. */
    Subscribing: "subscribing";
    /** The server has confirmed it; updates arrive. */
    Subscribed: "subscribed";
    /** Ended by `unsubscribe`, for good. */
    Unsubscribed: "unsubscribed";
}>;
export type SubscriptionState = (typeof SubscriptionState)[keyof typeof SubscriptionState];
export type SubscriptionEvents = {
    /**
     * A publication to the channel.
     */
    update: Update;
    /**
     * Every change of state.
     */
    state: SubscriptionState;
};
export type SubscriptionControl = {
    setState: (state: SubscriptionState) => void;
    deliver: (update: Update) => void;
};
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
export declare class Subscription extends Emitter<SubscriptionEvents> {
    #private;
    /**
     * @readonly
     * @type {string}
     */
    channel: string;
    /**
     * @param {string} channel
     * @param {() => void} end Ends the subscription at its owner.
     * @param {(control: SubscriptionControl) => void} control Hands the owner what only the
     *   owner may do.
     */
    constructor(channel: string, end: () => void, control: (control: SubscriptionControl) => void);
    /**
     * @returns {SubscriptionState}
     */
    get state(): SubscriptionState;
    /**
     * Ends the subscription, for everybody who shares it.
     */
    unsubscribe(): void;
}
