/**
 * Stores for Svelte, and for everybody who takes what has a `subscribe`.
 *
 * @module
 */
import type { LiveClient } from './live-client.js';
import type { Gap } from './position.js';
import type { SubscribeOptions } from './subscription.js';
import type { Initial, Update } from './wire.js';
/** @import { LiveClient } from './live-client.js' */
/** @import { Gap } from './position.js' */
/** @import { SubscribeOptions } from './subscription.js' */
/** @import { Initial, Update } from './wire.js' */
/**
 * A store of what becomes of the updates of a channel. It listens while somebody subscribes to it.
 *
 * @example
 * const posts = channelStore(live, 'posts', [], (posts, event) =>
 *   event.type === 'update' ? [...posts, event.data] : posts);
 *
 * @template V
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @template [I=any] Its initial state; likewise.
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @param {V} value What it holds at first.
 * @param {(value: V, event: Update<T> | Initial<I> | Gap) => V} reduce Makes the next value of the present one.
 * @param {SubscribeOptions} [options] Of the first who listens.
 * @returns {{ subscribe: (run: (value: V) => void) => () => void }} A readable store: `subscribe` calls back with the
 *   value at once and after each change, and returns what ends that.
 */
export declare function channelStore<V, T = any, I = any>(live: LiveClient<any>, channel: string, value: V, reduce: (value: V, event: Update<T> | Initial<I> | Gap) => V, options?: SubscribeOptions): {
    subscribe: (run: (value: V) => void) => () => void;
};
