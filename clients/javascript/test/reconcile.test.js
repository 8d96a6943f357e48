import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ChatClient, LiveClient, Presence } from '../src/index.js';
import { ContractServer, tokenBucket } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { record, settled, world } from './kit/world.js';

/** A server that takes so many messages at once, and 100 a second from then on, as the real one. */
function setting({ burst = 200, codes = true, old = false } = {}) {
  const clock = { now: () => 0 };
  const server = new ContractServer({ old, codes, busy: tokenBucket({ now: () => clock.now() }, burst, 100) });
  const w = linkedWorld(server);
  clock.now = w.clock.now;
  const rest = async (seconds = 30) => {
    for (let i = 0; i < seconds * 10; i += 1) {
      w.settle();
      await settled();
      w.clock.advance(100);
    }
    w.settle();
    await settled();
  };
  return { server, w, rest };
}

const names = (prefix, n) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

describe('where messages are dropped, as there are too many', () => {
  for (const codes of [true, false]) {
    test(`a hundred channels are left and a hundred others taken, of a server ${codes ? 'with' : 'without'} codes`, async () => {
      const { server, w, rest } = setting({ codes });
      const live = new LiveClient('ada', w.options);
      for (const name of names('old', 100)) live.subscribe(name);
      live.connect();
      await rest(1);
      for (const name of names('old', 100)) live.unsubscribe(name);
      const taken = names('new', 100).map((name) => live.subscribe(name));
      const refused = taken.map((subscription) => record(subscription, 'refused'));
      await rest();
      assert.deepEqual([...new Set(taken.map(({ state }) => state))], ['subscribed']);
      assert.ok(refused.every(({ length }) => length === 0));
      assert.deepEqual(server.channels.sort(), names('new', 100).sort());
      server.publish('new7', 'x');
      const updates = record(taken[7], 'update');
      await rest(1);
      assert.equal(updates.length, 1);
    });
  }

  test('a channel that is left and taken again is had once, and one that is left is left', async () => {
    const { server, w, rest } = setting({ burst: 3 });
    const live = new LiveClient('ada', w.options);
    live.connect();
    live.subscribe('a');
    live.subscribe('b');
    await rest(1);
    for (let i = 0; i < 20; i += 1) {
      live.unsubscribe('a');
      live.subscribe('a');
    }
    live.unsubscribe('b');
    const updates = record(live.subscriptions[0], 'update');
    await rest();
    assert.deepEqual(server.channels, ['a']);
    server.publish('a', 1);
    await rest(1);
    assert.equal(updates.length, 1);
    const { length } = w.links.at(-1).sent;
    w.clock.advance(10_000);
    assert.equal(w.links.at(-1).sent.length, length, 'then there is rest');
  });

  test('questions for history and presence are answered all the same, once', async () => {
    const { w, rest } = setting({ burst: 5 });
    const chat = new ChatClient('hall', 'ada', w.options);
    chat.handleMessage = () => {};
    chat.connect();
    await rest(1);
    let answers = 0;
    for (let i = 0; i < 20; i += 1) chat.history(1).then(() => (answers += 1));
    await rest();
    assert.equal(answers, 20);

    const live = new LiveClient('ada', w.options);
    const rooms = names('c', 20).map((name) => new Presence(live, name));
    live.connect();
    for (const room of rooms) room.update({ here: true });
    await rest();
    assert.ok(rooms.every(({ members }) => members[0]?.devices[0].data?.here === true));
  });

  test('what the server expects is asked for again', async () => {
    const { w, rest } = setting({ burst: 1 });
    const live = new LiveClient('ada', w.options);
    live.subscribe('a');
    live.connect();
    await rest(2);
    assert.equal(w.links[0].hellos.length > 1, true);
    const chat = new LiveClient('ada', w.options);
    chat.subscribe('b');
    chat.connect();
    await rest(2);
    const after = w.links[1].hellos.length;
    await rest(5);
    assert.equal(w.links[1].hellos.length, after, 'until it is answered');
  });
});

describe('a subscription that is refused', () => {
  function refusing() {
    const w = world();
    const live = new LiveClient('jwt', w.options);
    live.connect();
    w.socket.open();
    const a = live.subscribe('a');
    w.socket.receive({ type: 'subscribed', channel: 'a', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
    live.unsubscribe('a');
    const b = live.subscribe('b');
    const refused = record(b, 'refused');
    const [, leave, ask] = w.socket.sent;
    return { w, live, a, b, refused, leave, ask };
  }

  test('while another one is being left, as there are too many, is asked for again when that is left', () => {
    const { w, b, refused, leave, ask } = refusing();
    w.socket.receive({ type: 'error', id: ask.id, code: 'too-many-channels', message: 'Too many channels' });
    assert.deepEqual([b.state, refused.length], ['subscribing', 0]);
    w.socket.receive({ type: 'unsubscribed', channel: 'a', id: leave.id });
    const again = w.socket.sent.at(-1);
    assert.deepEqual([again.type, again.channel], ['subscribe', 'b']);
    w.socket.receive({ type: 'error', id: again.id, code: 'too-many-channels', message: 'Too many channels' });
    assert.deepEqual([b.state, refused.length], ['refused', 1]);
  });

  test('for another reason is refused at once', () => {
    const { w, b, ask } = refusing();
    w.socket.receive({ type: 'error', id: ask.id, code: 'subscribe-refused', message: 'Subscription refused' });
    assert.equal(b.state, 'refused');
  });

  test('and was given up meanwhile is not asked for again', () => {
    const { w, live, leave, ask } = refusing();
    w.socket.receive({ type: 'error', id: ask.id, message: 'Too many channels' });
    live.unsubscribe('b');
    const { length } = w.socket.sent;
    w.socket.receive({ type: 'unsubscribed', channel: 'a', id: leave.id });
    w.socket.receive({ type: 'unsubscribed', channel: 'b', id: w.socket.sent.at(-1).id });
    assert.equal(w.socket.sent.length, length);
  });
});
