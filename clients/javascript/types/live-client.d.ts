/**
 * Live updates by channel.
 *
 * @module
 */
import { Session } from './session.js';
import { Subscription } from './subscription.js';
import type { WireMessage } from './message.js';
import type { RequestOptions } from './questions.js';
import type { ClientOptions } from './session.js';
import type { SubscribeOptions } from './subscription.js';
import type { TokenSource } from './token.js';
import type { ChannelHistory, LiveMessages } from './wire.js';
export type OwnLiveOptions = {
    /**
     * Address of the server. Default: where the page came from;
     * without a page, `ws://localhost:3000`.
     */
    server?: string;
    /**
     * Where the server has live updates. Default `live`.
     */
    path?: string;
    /**
     * The name of this device in channels with presence, 1 to 64 bytes that only the
     * server sees: by it a connection that was lost is known again. Of two that are there at once each is a
     * device. Default: a random one, which outlives a reload of the page.
     */
    device?: string;
};
export type LiveClientOptions = Omit<ClientOptions, 'token'> & OwnLiveOptions;
export type HistoryOptions = {
    /**
     * The `offset` of the oldest publication that is here, or the `next` of the page before.
     * Default: from the newest.
     */
    before?: number;
    /**
     * How many, at most. Default 50; the server gives 300 at most.
     */
    limit?: number;
};
export type LiveLocalEvents = {
    /**
     * The server has subscribed this client to a channel that nobody here had
     * asked for, as a user's own: `subscribe` gives the same subscription.
     */
    joined: Subscription;
};
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
export declare class LiveClient<Messages extends object = {}> extends Session<LiveMessages & LiveLocalEvents & Messages> {
    #private;
    /**
     * @override
     * @protected
     * @type {ReadonlySet<unknown>}
     */
    protected static localEvents: ReadonlySet<unknown>;
    /**
     * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt and
     *   before the present one expires.
     * @param {LiveClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`
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
    subscribe<T = any, I = any>(channel: string, options?: SubscribeOptions): Subscription<T, I>;
    /**
     * Ends the subscription to a channel; without one, does nothing.
     *
     * @param {string} channel
     */
    unsubscribe(channel: string): void;
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
    publish(channel: string, data: any, options?: RequestOptions): Promise<WireMessage>;
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
    history<T = any>(channel: string, { before, limit }?: HistoryOptions): Promise<ChannelHistory<T>>;
    /**
     * @override
     * @protected
     */
    protected place(): string;
    /**
     * @override
     * @protected
     */
    protected opened(): void;
    /**
     * @override
     * @protected
     * @param {WireMessage} message
     */
    protected accept(message: WireMessage): boolean;
    /**
     * Makes the server's subscriptions those that are wanted: messages either way may have been dropped.
     *
     * @override
     * @protected
     */
    protected resumed(): void;
}
