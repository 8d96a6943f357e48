import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LiveClient, hold, listen } from '../src/index.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { settled } from './kit/world.js';

function setting() {
  const server = new ContractServer();
  const w = linkedWorld(server);
  return { server, w, live: new LiveClient('ada', w.options) };
}

test('a client is connected while somebody holds it', async () => {
  const { w, live } = setting();
  const stops = [hold(live), hold(live)];
  w.settle();
  assert.equal(live.state, 'connected');
  stops[0]();
  stops[0]();
  await settled();
  assert.equal(live.state, 'connected');
  stops[1]();
  assert.equal(live.state, 'connected', 'somebody may come back at once');
  await settled();
  assert.equal(live.state, 'closed');
  hold(live);
  w.settle();
  assert.equal(live.state, 'connected');
});

test('a channel is left with the last who listens, and each hears only for as long as it wants', async () => {
  const { server, w, live } = setting();
  hold(live);
  const heard = [];
  const hear = (name) => listen(live, 'news', { update: ({ data }) => heard.push(name + data) });
  const stops = [hear('a'), hear('b')];
  w.settle();
  server.publish('news', 1);
  w.settle();
  stops[0]();
  await settled();
  server.publish('news', 2);
  w.settle();
  assert.deepEqual(heard, ['a1', 'b1', 'b2']);
  stops[1]();
  stops.push(hear('c'));
  await settled();
  w.settle();
  assert.equal(server.subscribers('news'), 1);
  stops[2]();
  await settled();
  w.settle();
  assert.equal(server.subscribers('news'), 0);
});

test('a channel begins where the first who listens says', () => {
  const { server, w, live } = setting();
  hold(live);
  w.settle();
  server.publish('news', 1);
  const heard = [];
  listen(live, 'news', { update: ({ data }) => heard.push(data) }, { since: { epoch: 'e1', offset: 0 } });
  w.settle();
  assert.deepEqual(heard, [1]);
});

test('a channel that was taken away is listened to anew by who comes then', () => {
  const { server, w, live } = setting();
  hold(live);
  const states = [];
  listen(live, 'news', { state: (state) => states.push(state) });
  w.settle();
  server.kick('ada', 'news');
  w.settle();
  listen(live, 'news', { state: (state) => states.push(`new ${state}`) });
  w.settle();
  assert.deepEqual(states, ['subscribed', 'unsubscribed', 'new subscribed']);
});
