/**
 * Queries of TanStack Query that a channel keeps up to date.
 *
 * @module
 */
import type { LiveClient } from './live-client.js';
import type { Initial, Update } from './wire.js';
export type Queries = {
    setQueryData: (key: any, update: any) => unknown;
    invalidateQueries: (filters: any) => Promise<unknown>;
    getQueryState: (key: any) => {
        data?: any;
        fetchStatus: string;
    } | undefined;
    getQueryCache: () => QueryCache;
};
export type QueryCache = {
    find: (filters: any) => unknown;
    subscribe: (listener: (event: any) => void) => () => void;
};
/**
 * Keeps the data of a query up to date: with each update of a channel, and by loading anew where the channel has a
 * gap. What comes while the query is being loaded is applied once more to what was loaded, so that nothing is
 * lost, whichever is older.
 *
 * @example
 * useEffect(() => liveQuery(queryClient, live, 'posts', {
 *   queryKey: ['posts'],
 *   apply: (posts, { data }) => [...posts.filter(({ id }) => id !== data.id), data],
 * }), [queryClient, live]);
 *
 * @template D
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @template [I=any] Its initial state; likewise.
 * @param {Queries} queries
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @param {object} options
 * @param {readonly unknown[]} options.queryKey
 * @param {(data: D, update: Update<T>) => D} options.apply Makes new data of the present data. Must bear an update
 *   whose effect is there already, as what was loaded may have it.
 * @param {(initial: Initial<I>) => D} [options.initial] The data out of the channel's initial state; only for a channel
 *   whose server tells one. Nothing is loaded then.
 * @returns {() => void} Ends it.
 */
export declare function liveQuery<D, T = any, I = any>(queries: Queries, live: LiveClient<any>, channel: string, { queryKey, apply, initial: start }: {
    queryKey: readonly unknown[];
    apply: (data: D, update: Update<T>) => D;
    initial?: (initial: Initial<I>) => D;
}): () => void;
