import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LiveClient } from 'nextrush-client';
import { channelStore } from 'nextrush-client/svelte';
import { testWorld } from 'nextrush-client/testing';

test('a store listens while somebody subscribes to it, and holds what became of the updates', async () => {
  const world = testWorld({ initial: () => ['a'] });
  const live = new LiveClient('ada', world.options);
  live.connect();
  await world.settle();
  const store = channelStore(live, 'posts', [], (posts, { type, data }) => {
    if (type === 'gap') return ['?'];
    return type === 'initial' ? data : [...posts, data];
  });
  await world.settle();
  assert.equal(world.subscribers('posts'), 0);
  const seen = [[], []];
  const stops = seen.map((values) => store.subscribe((value) => values.push(value.join())));
  await world.settle();
  await world.publish('posts', 'b');
  assert.deepEqual(seen, [['', 'a', 'a,b'], ['', 'a', 'a,b']]);
  stops[0]();
  stops[0]();
  await world.publish('posts', 'c');
  await world.lose();
  world.forget();
  await world.advance(1_000);
  assert.deepEqual(seen, [['', 'a', 'a,b'], ['', 'a', 'a,b', 'a,b,c', '?', 'a']]);
  stops[1]();
  await world.settle();
  assert.equal(world.subscribers('posts'), 0);
});
