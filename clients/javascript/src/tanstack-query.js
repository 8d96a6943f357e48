/**
 * Queries of TanStack Query that a channel keeps up to date.
 *
 * @module
 */

import { listen } from './listen.js';

/** @import { LiveClient } from './live-client.js' */
/** @import { Initial, Update } from './wire.js' */

/**
 * The part of a `QueryClient` of TanStack Query 5 that is used.
 *
 * @typedef {object} Queries
 * @property {(key: any, update: any) => unknown} setQueryData
 * @property {(filters: any) => Promise<unknown>} invalidateQueries
 * @property {(key: any) => { data?: any, fetchStatus: string } | undefined} getQueryState
 * @property {() => QueryCache} getQueryCache
 */

/**
 * @typedef {object} QueryCache
 * @property {(filters: any) => unknown} find
 * @property {(listener: (event: any) => void) => () => void} subscribe
 */

/** The most updates that wait for a query that is being loaded. */
const KEPT = 1_000;

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
export function liveQuery(queries, live, channel, { queryKey, apply, initial: start }) {
  /** Updates that came while the query was being loaded. @type {Update<T>[]} */
  let late = [];
  let isFollowed = false;
  const filters = { queryKey, exact: true };
  /** @param {Update<T>} update */
  const put = (update) =>
    queries.setQueryData(queryKey, (/** @type {D | undefined} */ data) => (data === undefined ? data : apply(data, update)));
  let again = false;
  const load = () => {
    if (start) return;
    // A first load that is under way is not begun anew by that.
    const { data, fetchStatus } = queries.getQueryState(queryKey) ?? {};
    again = data === undefined && fetchStatus === 'fetching';
    if (!again) void queries.invalidateQueries(filters);
  };
  // What was loaded before the channel was followed may lack what was published in between.
  const follow = (/** @type {string} */ state) => {
    if (isFollowed || state !== 'subscribed') return;
    isFollowed = true;
    load();
  };
  const cache = queries.getQueryCache();
  const unwatch = cache.subscribe(({ type, query, action }) => {
    if (type !== 'updated' || action.type !== 'success' || action.manual || query !== cache.find(filters)) return;
    // Loaded before or after each of them: nobody knows.
    for (const update of late.splice(0)) put(update);
    if (again) load();
  });
  const stop = listen(live, channel, {
    update: (update) => {
      if (queries.getQueryState(queryKey)?.fetchStatus !== 'idle') late.push(update);
      if (late.length > KEPT) {
        late = [];
        load();
      }
      put(update);
    },
    initial: (initial) => {
      if (!start) return;
      late = [];
      queries.setQueryData(queryKey, start(initial));
    },
    gap: load,
    state: follow,
  });
  // Others may have had it before.
  follow(live.subscribe(channel).state);
  return () => {
    unwatch();
    stop();
  };
}
