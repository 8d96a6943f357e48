import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';

import { ErrorCode, LiveClient, SubscriptionState } from '../src/index.js';
import { record, settled, withoutIds, world } from './kit/world.js';

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

test('it connects to another endpoint where it is told so', () => {
  const w = world();
  new LiveClient('jwt', { ...w.options, path: 'inspect/tail' }).connect();
  assert.equal(w.socket.url, 'ws://localhost:3000/inspect/tail?token=jwt');
  for (const path of ['/inspect/tail', 'inspect/tail/', '/inspect/tail/']) {
    new LiveClient('jwt', { ...w.options, path }).connect();
    assert.equal(w.socket.url, 'ws://localhost:3000/inspect/tail?token=jwt');
  }
  assert.throws(() => new LiveClient('jwt', { ...w.options, path: '/' }), { code: 'invalid-address' });
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

for (const since of [{ epoch: 'e', offset: 1n }, { epoch: 'e' }, { offset: 1 }, { epoch: 'e', offset: -1 }, 7]) {
  test(`a subscription cannot begin at ${typeof since === 'object' ? Object.entries(since).join(' ') : since}`, () => {
    const { live } = connected();
    assert.throws(() => live.subscribe('posts', { since }), { code: 'invalid-option' });
    assert.deepEqual(live.subscriptions, []);
  });
}

describe('positions', () => {
  /** A subscription that the server has confirmed, and what it tells. */
  function subscribed(answer = { epoch: 'e', offset: 5 }, options = undefined) {
    const { w, live } = connected();
    const posts = live.subscribe('posts', options);
    const events = [];
    for (const type of ['update', 'gap', 'recovered', 'state', 'refused']) {
      posts.on(type, (event) => events.push([type, event.offset ?? event]));
    }
    const confirm = (answer) =>
      w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent.at(-1).id, ...answer });
    confirm(answer);
    const send = (offset) => w.socket.receive({ ...update('posts', offset), offset });
    const reconnect = () => {
      w.socket.end(1006);
      w.network.dispatchEvent(new Event('online'));
      w.socket.open();
      events.length = 0;
    };
    events.length = 0;
    return { w, live, posts, events, confirm, send, reconnect };
  }

  test('a new connection goes on where the last one stood', () => {
    const s = subscribed();
    s.send(6);
    s.send(7);
    assert.deepEqual(s.posts.position, { epoch: 'e', offset: 7 });
    s.reconnect();
    assert.deepEqual(withoutIds(s.w.socket.sent), [
      { type: 'subscribe', channel: 'posts', since: { epoch: 'e', offset: 7 } },
    ]);
    s.confirm({ epoch: 'e', offset: 9, recovered: true });
    s.send(8);
    s.send(9);
    s.send(10);
    assert.deepEqual(s.events, [
      ['state', 'subscribed'],
      ['recovered', { missed: 2 }],
      ['update', 8],
      ['update', 9],
      ['update', 10],
    ]);
  });

  test('a connection cut during recovery is recovered from where it was cut', () => {
    const s = subscribed();
    s.reconnect();
    s.confirm({ epoch: 'e', offset: 9, recovered: true });
    s.send(6);
    s.reconnect();
    assert.deepEqual(s.w.socket.sent[0].since, { epoch: 'e', offset: 6 });
  });

  test('what comes twice is told once, to everybody', () => {
    const s = subscribed();
    const all = record(s.live, 'update');
    for (const offset of [6, 6, 5, 7, 6]) s.send(offset);
    assert.deepEqual(s.events, [['update', 6], ['update', 7]]);
    assert.deepEqual(all.map(({ offset }) => offset), [6, 7]);
  });

  for (const [answer, gap] of [
    [{ epoch: 'e', offset: 9, recovered: false, reason: 'history' }, { type: 'gap', reason: 'history', from: 6, to: 9 }],
    [{ epoch: 'f', offset: 9, recovered: false, reason: 'epoch' }, { type: 'gap', reason: 'epoch' }],
    [{ epoch: 'e', offset: 3, recovered: false, reason: 'ahead' }, { type: 'gap', reason: 'ahead' }],
    [{}, { type: 'gap', reason: 'unknown' }],
  ]) {
    test(`the answer ${JSON.stringify(answer)} after a reconnect is told as a gap`, () => {
      const s = subscribed();
      s.reconnect();
      s.confirm(answer);
      assert.deepEqual(s.events, [['state', 'subscribed'], ['gap', gap]]);
      const next = (answer.offset ?? 0) + 1;
      s.send(next);
      assert.deepEqual(s.events.at(-1), ['update', next]);
    });
  }

  test('a stream that goes on under another epoch has lost nothing', () => {
    const s = subscribed();
    s.reconnect();
    s.confirm({ epoch: 'f', offset: 7, recovered: true });
    for (const offset of [6, 7, 8]) s.send(offset);
    assert.deepEqual(s.events.slice(1), [['recovered', { missed: 2 }], ['update', 6], ['update', 7], ['update', 8]]);
    assert.deepEqual(s.posts.position, { epoch: 'f', offset: 8 });
    s.w.socket.receive({ type: 'renewed', channel: 'posts', epoch: 'g', offset: 9 });
    s.w.socket.receive({ type: 'renewed', channel: 'posts', epoch: 'g', offset: 9 });
    s.send(9);
    assert.deepEqual(s.events.slice(-1), [['update', 9]]);
    assert.deepEqual(s.posts.position, { epoch: 'g', offset: 9 });
  });

  test('a stream that goes on without what was received is told as a gap', () => {
    const s = subscribed();
    s.w.socket.receive({ type: 'renewed', channel: 'posts', epoch: 'f', offset: 4 });
    s.send(5);
    assert.deepEqual(s.events, [['gap', { type: 'gap', reason: 'epoch' }], ['update', 5]]);
    assert.deepEqual(s.posts.position, { epoch: 'f', offset: 5 });
  });

  test('the first subscription begins with what is published from then on, without a gap', () => {
    const s = subscribed({ epoch: 'e', offset: 40 });
    assert.deepEqual(s.events, []);
    assert.deepEqual(s.posts.position, { epoch: 'e', offset: 40 });
  });

  test('an application can go on where another page stood', () => {
    const since = { epoch: 'e', offset: 2 };
    const s = subscribed({ epoch: 'e', offset: 2, recovered: true }, { since });
    assert.deepEqual(s.w.socket.sent[0].since, since);
    since.offset = 99;
    assert.deepEqual(s.posts.position, { epoch: 'e', offset: 2 });
  });

  test('a deletion is told, moves the position where it stands for an update, and is no gap', () => {
    const s = subscribed();
    s.posts.on('deleted', ({ offset }) => s.events.push(['deleted', offset]));
    const remove = (offset) => s.w.socket.receive({ type: 'deleted', channel: 'posts', offset });
    s.send(6);
    remove(7);
    s.send(8);
    remove(6);
    remove(8);
    assert.deepEqual(s.events, [['update', 6], ['deleted', 7], ['update', 8], ['deleted', 6], ['deleted', 8]]);
    assert.deepEqual(s.posts.position, { epoch: 'e', offset: 8 });
  });

  test('what the server says is lost is told, and the rest goes on behind it', () => {
    const s = subscribed();
    s.w.socket.receive({ type: 'gap', channel: 'posts', from: 6, to: 8, epoch: 'e' });
    s.w.socket.receive({ type: 'gap', channel: 'posts', from: 6, to: 8, epoch: 'e' });
    s.send(8);
    s.send(9);
    assert.deepEqual(s.events, [['gap', { type: 'gap', reason: 'slow', from: 6, to: 8 }], ['update', 9]]);
  });

  test('offsets that are left out without a word are a gap too', () => {
    const s = subscribed();
    s.send(8);
    assert.deepEqual(s.events, [['gap', { type: 'gap', reason: 'skipped', from: 6, to: 7 }], ['update', 8]]);
  });

  test('where only the newest matters they are none', () => {
    const s = subscribed({ epoch: 'e', offset: 5, latest: true });
    s.send(8);
    s.send(7);
    assert.deepEqual(s.events, [['update', 8]]);
    assert.deepEqual(s.posts.position, { epoch: 'e', offset: 8 });
  });

  for (const gap of [{}, { from: 9, to: 7 }, { from: 'a', to: 'b' }, { from: -1, to: 1.5 }]) {
    test(`the gap ${JSON.stringify(gap)} is none`, () => {
      const s = subscribed();
      s.w.socket.receive({ type: 'gap', channel: 'posts', ...gap });
      assert.deepEqual(s.events, []);
    });
  }

  test('updates without offsets are delivered as they come', () => {
    const s = subscribed({});
    s.w.socket.receive(update('posts', 1));
    s.w.socket.receive(update('posts', 1));
    assert.equal(s.events.length, 2);
    assert.equal(s.posts.position, null);
  });

  test('a refused subscription says so, and asks again on the next connection', () => {
    const { w, live } = connected();
    const secret = live.subscribe('secret');
    const other = live.subscribe('other');
    const refusals = record(secret, 'refused');
    w.socket.receive({ type: 'error', code: 'subscribe-refused', message: 'Forbidden channel', id: w.socket.sent[0].id });
    assert.equal(secret.state, 'refused');
    assert.equal(other.state, 'subscribing');
    assert.deepEqual(refusals.map(({ code, message }) => [code, message]), [['refused', 'Forbidden channel']]);
    w.socket.end(1006);
    assert.equal(secret.state, 'subscribing');
  });

  test('an error that answers no subscription refuses none', () => {
    const { w, live } = connected();
    const posts = live.subscribe('posts');
    w.socket.receive({ type: 'error', code: 'unknown-type', message: 'Unknown message type' });
    w.socket.receive({ type: 'error', code: 'unknown-type', message: 'Unknown message type', id: 'foreign' });
    assert.equal(posts.state, 'subscribing');
  });

  test('what belongs to an ended subscription of the channel does not reach its successor', () => {
    const { w, live } = connected();
    live.subscribe('posts').unsubscribe();
    const posts = live.subscribe('posts');
    const updates = record(posts, 'update');
    w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 5 });
    w.socket.receive({ ...update('posts'), offset: 6 });
    w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[2].id, epoch: 'e', offset: 6 });
    w.socket.receive({ ...update('posts'), offset: 7 });
    assert.deepEqual(updates.map(({ offset }) => offset), [7]);
  });
});

describe('iteration', () => {
  function iterating() {
    const { w, live } = connected();
    const posts = live.subscribe('posts');
    w.socket.receive({ type: 'subscribed', channel: 'posts', epoch: 'e', offset: 0 });
    const send = (offset) => w.socket.receive({ ...update('posts', offset), offset });
    return { w, live, posts, send, iterator: posts[Symbol.asyncIterator]() };
  }

  /** What a loop over a subscription sees, and how it ends. */
  function loop(iterable) {
    const seen = [];
    const done = (async () => {
      for await (const { offset } of iterable) seen.push(offset);
      return 'done';
    })().catch(({ code }) => code);
    return { seen, done: Promise.race([done, settled().then(settled).then(() => 'goes on')]) };
  }

  for (const [how, end, wanted] of [
    ['is closed', ({ live }) => live.close(), 'done'],
    ['fails', ({ w }) => w.socket.end(1008), 'closed'],
    ['is refused the channel', ({ w }) => {
      w.socket.end(1006);
      w.clock.advance(250);
      w.socket.open();
      w.socket.receive({ type: 'error', id: w.socket.sent[0].id, code: 'subscribe-refused', message: 'No' });
    }, 'refused'],
  ]) {
    test(`ends with the client that ${how}, after what has come`, async () => {
      const world = iterating();
      const { seen, done } = loop(world.iterator);
      world.send(1);
      world.send(2);
      end(world);
      assert.equal(await done, wanted);
      assert.deepEqual(seen, [1, 2]);
      assert.equal(await loop(world.posts).done, wanted, 'one that begins afterwards ends too');
    });
  }

  test('goes on while the connection is lost, and before the first one', async () => {
    const { w, posts } = iterating();
    const one = loop(posts);
    w.socket.end(1006);
    assert.equal(await one.done, 'goes on');
    const fresh = new LiveClient('jwt', world().options);
    assert.equal(await loop(fresh.subscribe('posts')).done, 'goes on');
  });

  test('can begin again with a client that is connected again', async () => {
    const { w, live, posts } = iterating();
    live.close();
    live.connect();
    const again = loop(posts);
    assert.equal(await again.done, 'goes on');
    w.socket.open();
    w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 0, recovered: true });
    w.socket.receive({ ...update('posts', 1), offset: 1 });
    await settled();
    assert.deepEqual(again.seen, [1]);
  });

  test('gives the updates and the gaps in order, and ends with the subscription', async () => {
    const { posts, send, iterator } = iterating();
    send(1);
    send(3);
    const seen = [];
    const done = (async () => {
      for await (const event of iterator) seen.push(event.type === 'gap' ? 'gap' : event.offset);
    })();
    await settled();
    send(4);
    await settled();
    posts.unsubscribe();
    await done;
    assert.deepEqual(seen, [1, 'gap', 3, 4]);
  });

  test('that is left leaves the subscription', async () => {
    const { posts, send, iterator } = iterating();
    send(1);
    for await (const { offset } of iterator) {
      assert.equal(offset, 1);
      break;
    }
    assert.equal(posts.state, 'subscribed');
  });

  test('that begins when the client has been closed ends, until it connects again', async () => {
    const { live } = connected();
    live.close();
    for await (const event of live.subscribe('late')) assert.fail(JSON.stringify(event));
    live.connect();
    let hasEnded = false;
    void (async () => {
      for await (const _ of live.subscribe('late'));
      hasEnded = true;
    })();
    await settled();
    assert.equal(hasEnded, false);
  });

  test('that begins when the client has failed throws', async () => {
    const { w, live } = connected();
    w.socket.end(1008);
    assert.equal(live.state, 'failed');
    await assert.rejects(live.subscribe('late')[Symbol.asyncIterator]().next(), { code: 'closed' });
  });

  test('that begins before the client connects waits', async () => {
    const live = new LiveClient('jwt', world().options);
    const begun = live.subscribe('early')[Symbol.asyncIterator]().next();
    assert.equal(await Promise.race([begun, settled().then(() => 'waits')]), 'waits');
  });

  test('that is a thousand behind fails, after what it has', async () => {
    const { send, iterator } = iterating();
    for (let offset = 1; offset <= 1_001; offset += 1) send(offset);
    let seen = 0;
    await assert.rejects(
      async () => {
        for await (const _ of iterator) seen += 1;
      },
      { code: 'overflow' },
    );
    assert.equal(seen, 1_000);
  });

  test('whose reader has 1,000 updates to read when the client is closed ends after them', async () => {
    const { w, live } = connected();
    const posts = live.subscribe('posts');
    w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent.at(-1).id });
    const iterator = posts[Symbol.asyncIterator]();
    for (let n = 0; n < 1_000; n += 1) w.socket.receive(update('posts', n));
    live.close();
    let seen = 0;
    for await (const _ of iterator) seen += 1;
    assert.equal(seen, 1_000);
  });
});

test('a client has one name for its device on all connections, which outlives a reload', (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage');
  const storage = (value) => Object.defineProperty(globalThis, 'sessionStorage', { value, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, 'sessionStorage', before) : delete globalThis.sessionStorage));
  storage(undefined);
  const w = world();
  const subscribed = (options) => {
    const live = new LiveClient('jwt', { ...w.options, ...options });
    live.subscribe('lobby');
    live.connect();
    w.socket.open();
    w.socket.break();
    w.clock.advance(1_000);
    w.socket.open();
    const names = w.sockets.splice(0).flatMap(({ sent }) => sent.map(({ device }) => device));
    live.close();
    return names;
  };
  const [one, two] = [subscribed(), subscribed()];
  for (const names of [one, two]) {
    assert.equal(names.length, 2);
    assert.equal(names[0], names[1]);
    assert.match(names[0], /^[0-9a-z]{1,64}$/);
  }
  assert.notEqual(one[0], two[0]);
  assert.deepEqual(subscribed({ device: 'phone' }), ['phone', 'phone']);
  const kept = new Map();
  storage({ getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) });
  assert.equal(subscribed()[0], subscribed()[0]);
  storage({ getItem: () => null, setItem: () => assert.fail('full') });
  assert.equal(new Set([...subscribed(), ...subscribed()]).size, 2);
});

describe('a subscription', () => {
  test('publishes bytes as base64 with a mark, in whatever form they come', async () => {
    const { w, live } = connected();
    const canvas = live.subscribe('canvas');
    const bytes = new Uint8Array([0, 255, 127]);
    const rest = new Uint8Array(new Uint8Array([9, 0, 255, 127]).buffer, 1);
    for (const data of [bytes, bytes.buffer, rest, Buffer.from(bytes), new DataView(rest.buffer, 1)]) {
      void canvas.publish(data);
      const { id, ...sent } = w.socket.sent.at(-1);
      assert.deepEqual(sent, { type: 'publish', channel: 'canvas', data: 'AP9/', encoding: 'base64' });
    }
    // Of another realm, as that of a test runner.
    void live.publish('canvas', runInNewContext('new Uint8Array([1]).buffer'));
    assert.equal(w.socket.sent.at(-1).data, 'AQ==');
    const many = new Uint8Array(100_000).fill(7);
    void live.publish('canvas', many);
    assert.deepEqual(Buffer.from(w.socket.sent.at(-1).data, 'base64'), Buffer.from(many));
    for (const data of ['AP9/', null, [1], { 0: 1 }]) {
      void live.publish('canvas', data);
      const { id, ...sent } = w.socket.sent.at(-1);
      assert.deepEqual(sent, { type: 'publish', channel: 'canvas', data });
    }
  });

  test('gives its listeners the bytes of an update, and leaves alone what is none', () => {
    const { w, live } = connected();
    const canvas = live.subscribe('canvas');
    w.socket.receive({ type: 'subscribed', channel: 'canvas', epoch: 'e', offset: 0 });
    const events = record(canvas, 'update');
    w.socket.receive({ ...update('canvas', 'AP9/'), encoding: 'base64', offset: 1 });
    w.socket.receive({ ...update('canvas', ''), encoding: 'base64', offset: 2 });
    w.socket.receive({ ...update('canvas', 'AP9/'), offset: 3 });
    w.socket.receive({ ...update('canvas', '!'), encoding: 'base64', offset: 4 });
    w.socket.receive({ ...update('canvas', 'ff'), encoding: 'of-a-later-server', offset: 5 });
    assert.deepEqual(
      events.map(({ data, encoding }) => [data, encoding]),
      [
        [new Uint8Array([0, 255, 127]), undefined],
        [new Uint8Array(), undefined],
        ['AP9/', undefined],
        ['!', 'base64'],
        ['ff', 'of-a-later-server'],
      ],
    );
    assert.deepEqual(canvas.position, { epoch: 'e', offset: 5 });
  });

  test('asks for older publications, bytes included, with a subscription or without', async () => {
    const { w, live } = connected();
    const page = live.subscribe('canvas').history({ before: 7, limit: 2 });
    const { id, ...asked } = w.socket.sent.at(-1);
    assert.deepEqual(asked, { type: 'channel-history', channel: 'canvas', before: 7, limit: 2 });
    const kept = [
      { data: 'AQ==', encoding: 'base64', timestamp: 't', offset: 5 },
      { data: 'AQ==', timestamp: 't', offset: 6 },
    ];
    const answer = { type: 'channel-history', channel: 'canvas', epoch: 'e', more: true, next: 5 };
    w.socket.receive({ ...answer, publications: kept, id });
    const { publications, more, next, epoch } = await page;
    assert.deepEqual(publications, [
      { data: new Uint8Array([1]), timestamp: 't', offset: 5 },
      { data: 'AQ==', timestamp: 't', offset: 6 },
    ]);
    assert.deepEqual([more, next, epoch], [true, 5, 'e']);

    const newest = live.history('other');
    const { id: other, ...question } = w.socket.sent.at(-1);
    assert.deepEqual(question, { type: 'channel-history', channel: 'other' });
    w.socket.receive({ type: 'error', code: 'no-history', message: 'No history in this channel', id: other });
    await assert.rejects(newest, { code: 'refused', refusal: ErrorCode.NoHistory });
    // An earlier server.
    const unknown = live.history('other');
    w.socket.receive({ type: 'error', code: 'unknown-type', message: 'Unknown message type', id: w.socket.sent.at(-1).id });
    await assert.rejects(unknown, { code: 'refused', refusal: 'unknown-type' });
    // Not on the next connection: whoever asked may have gone.
    const lost = live.history('other');
    w.socket.end(1006);
    await assert.rejects(lost, { code: 'unconfirmed' });
  });

  test('publishes to its channel, and asks about it', async () => {
    const { w, live } = connected();
    const posts = live.subscribe('posts');
    const published = posts.publish({ title: 'New' });
    const asked = posts.request({ type: 'count', of: 'readers' });
    const [, publish, count] = w.socket.sent;
    assert.deepEqual(withoutIds([publish, count]), [
      { type: 'publish', channel: 'posts', data: { title: 'New' } },
      { type: 'count', of: 'readers', channel: 'posts' },
    ]);
    w.socket.receive({ type: 'ack', id: publish.id, epoch: 'e', offset: 7 });
    w.socket.receive({ type: 'reply', id: count.id, data: 9 });
    assert.equal((await published).offset, 7);
    assert.equal(await asked, 9);
    assert.equal(posts.client, live);
  });

  test('whose publication is refused says so', async () => {
    const { w, live } = connected();
    const outcome = live.subscribe('posts').publish(1).catch((error) => error);
    w.socket.receive({ type: 'error', id: w.socket.sent[1].id, code: 'publish-refused', message: 'No' });
    assert.equal((await outcome).refusal, 'publish-refused');
  });
});
