/**
 * Clients and channels with several users.
 *
 * @module
 */
import type { LiveClient } from './live-client.js';
import type { Session } from './session.js';
import type { SubscribeOptions, SubscriptionEvents } from './subscription.js';
/** @import { LiveClient } from './live-client.js' */
/** @import { Session } from './session.js' */
/** @import { SubscribeOptions, SubscriptionEvents } from './subscription.js' */
/**
 * Keeps a client connected for as long as somebody holds it.
 *
 * @param {Session<any>} client
 * @returns {() => void} Lets go of it. With the last one the client is closed, at the end of the present task.
 */
export declare function hold(client: Session<any>): () => void;
/**
 * Listens to a channel together with others: it is subscribed to with the first, and left with the last.
 * Who calls `unsubscribe` or `live.unsubscribe` ends it for all.
 *
 * @example
 * const stop = listen(live, 'posts', { update: ({ data }) => show(data), gap: reload });
 *
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @template [I=any] Its initial state; likewise.
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @param {{ [K in keyof SubscriptionEvents<T, I>]?: (event: SubscriptionEvents<T, I>[K]) => void }} listeners
 *   By the names of a subscription's events.
 * @param {SubscribeOptions} [options] Of the first who listens.
 * @returns {() => void} Stops listening. The channel is left at the end of the present task.
 */
export declare function listen<T = any, I = any>(live: LiveClient<any>, channel: string, listeners: { [K in keyof SubscriptionEvents<T, I>]?: (event: SubscriptionEvents<T, I>[K]) => void; }, options?: SubscribeOptions): () => void;
