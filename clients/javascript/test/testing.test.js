import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChatClient, LiveClient, Presence } from 'nextrush-client';
import { testWorld } from 'nextrush-client/testing';
import { record } from './kit/world.js';

test('a channel that the server subscribes to begins with its state', async () => {
  const world = testWorld({ channels: (user) => [`user:${user}`], initial: (channel) => `state of ${channel}` });
  const live = new LiveClient('ada', world.options);
  const initial = record(live.subscribe('user:ada'), 'initial');
  live.connect();
  await world.settle();
  assert.deepEqual(initial.map(({ data }) => data), ['state of user:ada']);
});

test('a test has a server that answers, publishes, asks and takes away', async () => {
  const ada = { id: 7, email: 'ada@example.org', name: 'Ada' };
  const world = testWorld({
    users: (token) => (token === 'of ada' ? ada : undefined),
    channels: (user) => [`user:${user}`],
    commands: {
      add: ({ a, b }, user) => ({ sum: a + b, by: user.id }),
      fail: () => {
        throw Object.assign(new Error('Not now'), { code: 'busy' });
      },
    },
  });
  const live = new LiveClient('of ada', world.options);
  const joined = record(live, 'joined');
  live.connect();
  const posts = live.subscribe('posts');
  const updates = record(posts, 'update');
  await world.settle();
  assert.equal(world.connections, 1);
  assert.deepEqual(joined.map(({ channel }) => channel), ['user:7']);
  await world.publish('posts', 1);
  assert.deepEqual(updates.map(({ data }) => data), [1]);

  const sum = live.request({ type: 'add', a: 1, b: 2 });
  const failed = live.request({ type: 'fail' }).catch((error) => error);
  const unknown = live.request({ type: 'toString' }).catch((error) => error);
  await world.settle();
  assert.deepEqual(await sum, { sum: 3, by: 7 });
  assert.deepEqual([(await failed).refusal, (await failed).message], ['busy', 'Not now']);
  assert.equal((await unknown).refusal, 'unknown-type');
  assert.deepEqual(world.commands, [{ type: 'add', a: 1, b: 2 }, { type: 'fail' }]);

  live.handle('double', async (n) => 2 * n);
  assert.deepEqual(await world.request(7, 'double', 4), [{ data: 8 }]);
  assert.equal((await world.request(7, 'triple', 4))[0].error.code, 'no-handler');

  const presence = new Presence(posts);
  await world.settle();
  assert.deepEqual(presence.members.map(({ user }) => user), [ada]);

  await world.kick(7, 'posts');
  assert.equal(posts.error.refusal, 'kicked');
});

test('a test loses connections, and time passes as it says', async () => {
  const world = testWorld();
  const live = new LiveClient('ada', { ...world.options, tokenIn: 'subprotocol' });
  live.connect();
  const posts = live.subscribe('posts');
  const updates = record(posts, 'update');
  const gaps = record(posts, 'gap');
  await world.settle();
  await world.lose();
  assert.equal(live.state, 'disconnected');
  await world.publish('posts', 'missed');
  await world.advance(249);
  assert.equal(live.state, 'disconnected');
  await world.advance(3_600_000);
  assert.equal(live.state, 'connected');
  assert.deepEqual(updates.map(({ data }) => data), ['missed']);
  world.forget();
  await world.lose();
  await world.advance(1_000);
  assert.deepEqual(gaps.map(({ reason }) => reason), ['epoch']);
});

test('a test has rooms', async () => {
  const world = testWorld();
  const chat = new ChatClient('lobby', 'ada', world.options);
  chat.handleMessage = () => {};
  chat.connect();
  const said = chat.say('hello');
  await world.settle();
  assert.equal((await said).messageId, 1);
  assert.deepEqual(chat.recentMessages.map(({ text }) => text), ['hello']);
});
