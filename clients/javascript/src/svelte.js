/**
 * Stores for Svelte, and for everybody who takes what has a `subscribe`.
 *
 * @module
 */

import { listen } from './listen.js';

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
export function channelStore(live, channel, value, reduce, options) {
  /** @type {Set<(value: V) => void>} */
  const runs = new Set();
  /** @type {(event: any) => void} */
  const take = (event) => {
    value = reduce(value, event);
    for (const run of [...runs]) run(value);
  };
  let stop = () => {};
  return {
    subscribe(run) {
      // The same function may subscribe twice.
      const own = (/** @type {V} */ next) => run(next);
      if (runs.size === 0) stop = listen(live, channel, { update: take, initial: take, gap: take }, options);
      runs.add(own);
      run(value);
      return () => {
        if (runs.delete(own) && runs.size === 0) stop();
      };
    },
  };
}
