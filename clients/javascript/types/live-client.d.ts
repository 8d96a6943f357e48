/**
 * Live updates by channel.
 *
 * @module
 */
import { Client } from './client.js';
import { Subscription } from './subscription.js';
import type { TokenSource } from './address.js';
import type { ClientOptions } from './client.js';
import type { SubscriptionControl } from './subscription.js';
import type { LiveMessages } from './wire.js';
export type OwnLiveOptions = {
    /**
     * Address of the server. Default: where the page came from;
     * without a page, `ws://localhost:3000`.
     */
    server?: string;
};
export type LiveClientOptions = ClientOptions & OwnLiveOptions;
export type Entry = {
    subscription: Subscription;
    control: SubscriptionControl;
};
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
export declare class LiveClient extends Client<LiveMessages> {
    #private;
    /**
     * The token of the next attempt to connect, or the function that gets it.
     *
     * @type {TokenSource}
     */
    token: TokenSource;
    /**
     * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt.
     * @param {LiveClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`, `no-websocket`
     */
    constructor(token?: TokenSource, options?: LiveClientOptions);
    /**
     * The subscriptions, in the order in which they were made.
     *
     * @returns {Subscription[]}
     */
    get subscriptions(): Subscription[];
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
    subscribe(channel: string): Subscription;
    /**
     * Ends the subscription to a channel; without one, does nothing.
     *
     * @param {string} channel
     */
    unsubscribe(channel: string): void;
}
