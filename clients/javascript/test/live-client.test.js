import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LiveClient, SubscriptionState } from '../src/index.js';
import { record, withoutIds, world } from './kit/world.js';

const update = (channel, data) => ({
  type: 'update',
  channel,
  data,
  timestamp: '2026-01-31T09:05:07.123Z',
});

function connected() {
  const w = world();
  const live = new LiveClient('jwt', w.options);
  live.connect();
  w.socket.open();
  return { w, live };
}

test('it connects to the live endpoint of the server, with the token', () => {
  assert.equal(connected().w.socket.url, 'ws://localhost:3000/live?token=jwt');
});

test('a server that cannot be addressed is told at once', () => {
  const options = { ...world().options, server: 'chat.example' };
  assert.throws(() => new LiveClient('jwt', options), { code: 'invalid-address' });
});

test('a subscription is asked for, confirmed, and receives the updates of its channel', () => {
  const { w, live } = connected();
  const posts = live.subscribe('posts');
  const states = record(posts, 'state');
  const updates = record(posts, 'update');
  const all = record(live, 'update');
  assert.deepEqual(withoutIds(w.socket.sent), [{ type: 'subscribe', channel: 'posts' }]);
  assert.equal(posts.channel, 'posts');
  assert.equal(posts.state, SubscriptionState.Subscribing);

  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  w.socket.receive(update('posts', { type: 'new-post' }));
  w.socket.receive(update('post-7', { type: 'updated' }));
  assert.equal(posts.state, SubscriptionState.Subscribed);
  assert.deepEqual(states, ['subscribed']);
  assert.deepEqual(updates, [update('posts', { type: 'new-post' })]);
  assert.equal(all.length, 2);
});

test('channels subscribed before connecting are asked for on connecting, in order', () => {
  const w = world();
  const live = new LiveClient('jwt', w.options);
  live.subscribe('b');
  live.subscribe('a');
  live.connect();
  assert.deepEqual(withoutIds(w.socket.sent), []);
  w.socket.open();
  assert.deepEqual(withoutIds(w.socket.sent), [
    { type: 'subscribe', channel: 'b' },
    { type: 'subscribe', channel: 'a' },
  ]);
});

test('after a reconnect all channels are asked for again, and only the present ones', () => {
  const { w, live } = connected();
  const posts = live.subscribe('posts');
  live.subscribe('gone');
  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  const states = record(posts, 'state');
  w.socket.end(1012);
  live.unsubscribe('gone');
  w.clock.advance(250);
  w.socket.open();
  assert.deepEqual(withoutIds(w.socket.sent), [{ type: 'subscribe', channel: 'posts' }]);
  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  assert.deepEqual(states, ['subscribing', 'subscribed']);
});

test('a subscription made by a listener of the state is asked for once', () => {
  const w = world();
  const live = new LiveClient('jwt', w.options);
  live.on('state', ({ state }) => state === 'connected' && live.subscribe('posts'));
  live.connect();
  w.socket.open();
  assert.deepEqual(withoutIds(w.socket.sent), [{ type: 'subscribe', channel: 'posts' }]);
});

test('several subscribers of one channel share a subscription', () => {
  const { w, live } = connected();
  assert.equal(live.subscribe('posts'), live.subscribe('posts'));
  assert.equal(w.socket.sent.length, 1);
  assert.deepEqual(live.subscriptions.map(({ channel }) => channel), ['posts']);
});

test('an ended subscription receives nothing more', () => {
  const { w, live } = connected();
  const posts = live.subscribe('posts');
  const updates = record(posts, 'update');
  posts.unsubscribe();
  posts.unsubscribe();
  w.socket.receive(update('posts', 1));
  w.socket.receive({ type: 'unsubscribed', channel: 'posts' });
  assert.deepEqual(withoutIds(w.socket.sent.slice(1)), [{ type: 'unsubscribe', channel: 'posts' }]);
  assert.deepEqual(updates, []);
  assert.equal(posts.state, SubscriptionState.Unsubscribed);
  assert.deepEqual(live.subscriptions, []);
});

test('an ended subscription does not end its successor', () => {
  const { live } = connected();
  const old = live.subscribe('posts');
  old.unsubscribe();
  const posts = live.subscribe('posts');
  old.unsubscribe();
  assert.notEqual(posts, old);
  assert.deepEqual(live.subscriptions, [posts]);
});

test('the confirmation of an ended subscription does not confirm its successor', () => {
  const { w, live } = connected();
  live.subscribe('posts').unsubscribe();
  const posts = live.subscribe('posts');
  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  w.socket.receive({ type: 'unsubscribed', channel: 'posts' });
  assert.equal(posts.state, SubscriptionState.Subscribing);
  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  assert.equal(posts.state, SubscriptionState.Subscribed);
});

test('confirmations that a lost connection still owed are not waited for', () => {
  const { w, live } = connected();
  const posts = live.subscribe('posts');
  w.socket.end(1006);
  w.clock.advance(250);
  w.socket.open();
  w.socket.receive({ type: 'subscribed', channel: 'posts' });
  assert.equal(posts.state, SubscriptionState.Subscribed);
});

test('messages about channels that nobody subscribed to are survived', () => {
  const { w, live } = connected();
  w.socket.receive({ type: 'subscribed', channel: 'nobody' });
  w.socket.receive({ type: 'subscribed' });
  w.socket.receive({ type: 'update' });
  assert.equal(live.state, 'connected');
  assert.deepEqual(live.subscriptions, []);
});

for (const channel of ['', undefined, 7]) {
  test(`${JSON.stringify(channel)} is no channel`, () => {
    assert.throws(() => connected().live.subscribe(channel), { code: 'invalid-address' });
  });
}
