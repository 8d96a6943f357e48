/**
 * A channel that is listened to.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import type { HistoryOptions, LiveClient } from './live-client.js';
import type { WireMessage } from './message.js';
import type { Gap, Since } from './position.js';
import type { RequestOptions } from './questions.js';
import type { ChannelHistory, Initial, Update, UpdateDeleted } from './wire.js';
/** @import { HistoryOptions, LiveClient } from './live-client.js' */
/** @import { WireMessage } from './message.js' */
/** @import { Gap, Since } from './position.js' */
/** @import { RequestOptions } from './questions.js' */
/** @import { ChannelHistory, GapMessage, Initial, Renewed, Subscribed, Update, UpdateDeleted } from './wire.js' */
/**
 * The states of a subscription.
 */
export declare const SubscriptionState: Readonly<{
    /** Asked for, or to be asked for as soon as there is a connection. */
    Subscribing: "subscribing";
    /** The server has confirmed it; updates arrive. */
    Subscribed: "subscribed";
    /** The server has refused it. It is asked again on the next connection. */
    Refused: "refused";
    /** Ended by `unsubscribe` or by the server, for good. */
    Unsubscribed: "unsubscribed";
}>;
export type SubscriptionState = (typeof SubscriptionState)[keyof typeof SubscriptionState];
export type SubscriptionEvents<T = any, I = any> = {
    /**
     * A publication to the channel; each once, in order.
     */
    update: Update<T>;
    /**
     * An update was deleted at the server: one that was received, or
     * one in whose place this comes. Iterations leave it out.
     */
    deleted: UpdateDeleted;
    /**
     * Publications were missed and will not come. What is shown should be loaded
     * anew.
     */
    gap: Gap;
    /**
     * After a reconnect nothing is missing: so many updates
     * follow that were missed meanwhile.
     */
    recovered: {
        missed: number;
    };
    /**
     * The state of the channel at the position where its updates begin, where
     * the server tells one: at first, and whenever what was missed does not come.
     */
    initial: Initial<I>;
    /**
     * The server refuses the subscription.
     */
    refused: ClientError;
    /**
     * The server has ended the subscription, and `refusal` says why:
     * `kicked`, or whatever its rule for the channel says now. Whoever subscribes again asks it again.
     */
    unsubscribed: ClientError;
    /**
     * Every change of state.
     */
    state: SubscriptionState;
};
export type SubscribeOptions = {
    /**
     * Where to begin: the `position` of an earlier subscription. Default:
     * with what is published from now on.
     */
    since?: Since;
};
export type End = {
    error?: ClientError | undefined;
};
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
export declare class Subscription<T = any, I = any> extends Emitter<SubscriptionEvents<T, I>> {
    #private;
    /**
     * @readonly
     * @type {LiveClient<any>}
     */
    client: LiveClient<any>;
    /**
     * @readonly
     * @type {string}
     */
    channel: string;
    /**
     * The newest that came: an update, or the initial state if nothing came since.
     *
     * @type {Update<T> | Initial<I> | undefined}
     */
    last: Update<T> | Initial<I> | undefined;
    /**
     * @param {LiveClient<any>} client
     * @param {string} channel
     * @param {(subscription: Subscription<T, I>) => void} leave Ends the subscription at its owner.
     * @param {SubscribeOptions} [options]
     */
    constructor(client: LiveClient<any>, channel: string, leave: (subscription: Subscription<T, I>) => void, { since }?: SubscribeOptions);
    /**
     * @returns {SubscriptionState}
     */
    get state(): SubscriptionState;
    /**
     * The error with which the server refused or ended it, or the client gave up, if so.
     *
     * @returns {ClientError | undefined}
     */
    get error(): ClientError | undefined;
    /**
     * The position up to which the channel was received, if the server keeps positions: another
     * subscription can go on there, also that of another page.
     *
     * @returns {Since | null}
     */
    get position(): Since | null;
    /**
     * Sends a request about this channel.
     *
     * @template [R=WireMessage]
     * @param {object} message Gets a field `channel`, and an `id`.
     * @param {RequestOptions} [options]
     * @returns {Promise<R>} As of the client's own `request`.
     */
    request<R = WireMessage>(message: object, options?: RequestOptions): Promise<R>;
    /**
     * Publishes to the channel, where the server lets clients do so; this client is told too.
     *
     * @param {T | ArrayBuffer} data Anything that JSON can say, or bytes: see `LiveClient.publish`.
     * @param {RequestOptions} [options]
     * @returns {Promise<WireMessage>} The answer, with the `epoch` and `offset` of the publication, where the
     *   channel has positions. Rejects as the client's own `request`.
     */
    publish(data: T | ArrayBuffer, options?: RequestOptions): Promise<WireMessage>;
    /**
     * Asks for older publications, where the channel keeps some.
     *
     * @param {HistoryOptions} [options]
     * @returns {Promise<ChannelHistory<T>>} The newest of those before it, oldest first; see `LiveClient.history`.
     */
    history(options?: HistoryOptions): Promise<ChannelHistory<T>>;
    /**
     * Ends the subscription, for everybody who shares it.
     */
    unsubscribe(): void;
    /**
     * The updates from now on, with the gaps and initial states between them, until the subscription ends or the client
     * is closed. Leaving the loop leaves the subscription as it is.
     *
     * Throws a `ClientError`, after what has come: `refused` when the server refuses or ends the channel,
     * `closed` when the client gives up (state `failed`), `overflow` for a reader who is 1,000 behind.
     *
     * @returns {AsyncGenerator<Update<T> | Initial<I> | Gap, void, undefined>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<Update<T> | Initial<I> | Gap, void, undefined>;
}
