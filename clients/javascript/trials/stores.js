// Vue, Svelte and TanStack Query, each as its users write it.
import assert from 'node:assert/strict';

import { QueryClient, QueryObserver } from '@tanstack/query-core';
import { derived, get } from 'svelte/store';
import { effectScope, onScopeDispose, shallowRef } from 'vue';

import { LiveClient, hold, listen } from 'nextrush-client';
import { channelStore } from 'nextrush-client/svelte';
import { liveQuery } from 'nextrush-client/tanstack-query';
import { testWorld } from 'nextrush-client/testing';

const world = testWorld();
const live = new LiveClient('ada', world.options);
hold(live);
await world.settle();

// Vue
function useChannel(channel) {
  const posts = shallowRef([]);
  onScopeDispose(listen(live, channel, { update: ({ data }) => (posts.value = [...posts.value, data]) }));
  return posts;
}
const [one, two] = [effectScope(), effectScope()];
const shown = [one, two].map((scope) => scope.run(() => useChannel('vue')));
await world.settle();
await world.publish('vue', 1);
one.stop();
await world.settle();
await world.publish('vue', 2);
assert.deepEqual(shown.map(({ value }) => value), [[1], [1, 2]]);
two.stop();
await world.settle();
assert.equal(world.subscribers('vue'), 0);

// Svelte
const posts = channelStore(live, 'svelte', [], (posts, event) => (event.type === 'update' ? [...posts, event.data] : posts));
const count = derived(posts, ({ length }) => length);
const counts = [];
const stop = count.subscribe((value) => counts.push(value));
await world.settle();
await world.publish('svelte', 'a');
assert.deepEqual(counts, [0, 1]);
assert.deepEqual(get(posts), ['a']);
stop();
await world.settle();
assert.equal(world.subscribers('svelte'), 0);

// TanStack Query
const table = [];
const loads = [];
/** A server whose answers come when the test says. */
const load = () =>
  new Promise((resolve) => {
    const read = [...table];
    loads.push(() => resolve(read));
  });
const queries = new QueryClient();
queries.mount();
const observer = new QueryObserver(queries, { queryKey: ['posts'], queryFn: load });
const unobserve = observer.subscribe(() => {});
const end = liveQuery(queries, live, 'query', {
  queryKey: ['posts'],
  apply: (known, { data }) => (known.includes(data) ? known : [...known, data]),
});
const publish = async (data) => {
  table.push(data);
  await world.publish('query', data);
};
const answer = async () => {
  loads.shift()();
  await new Promise((resolve) => setTimeout(resolve));
};
const data = () => queries.getQueryData(['posts']);
const settle = async () => {
  await world.settle();
  await new Promise((resolve) => setTimeout(resolve));
};
table.push('before');
await settle();
// The first load is of before the channel was followed: it is done again.
while (loads.length > 0) await answer();
assert.deepEqual(data(), ['before']);
await publish('update');
assert.deepEqual(data(), ['before', 'update']);
// What comes while it is being loaded is not lost, though what is loaded lacks it.
void queries.invalidateQueries({ queryKey: ['posts'] });
await settle();
assert.equal(loads.length, 1);
await publish('late');
await answer();
assert.deepEqual(data(), ['before', 'update', 'late']);
// A gap: what was missed is loaded.
await world.lose();
table.push('missed');
world.forget();
await world.advance(1_000);
await settle();
assert.equal(loads.length, 1);
await answer();
assert.deepEqual(data(), ['before', 'update', 'late', 'missed']);
end();
await world.settle();
assert.equal(world.subscribers('query'), 0);
unobserve();
queries.clear();
queries.unmount();
console.log('stores follow');
