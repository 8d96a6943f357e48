import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client, LiveClient, Outbox } from '../src/index.js';
import { memoryStore } from './kit/memory-store.js';
import { record, settled, world } from './kit/world.js';

const ADDRESS = 'ws://server.example/chat/lobby';

function connected(options = {}) {
  const w = world();
  const client = new Client(ADDRESS, { ...w.options, ...options });
  client.connect();
  w.socket.open();
  return { w, client };
}

/** How a promise ended: its value, or the code of its error. */
async function outcome(promise) {
  let result = 'open';
  promise.then((value) => (result = value), ({ code }) => (result = code));
  await settled();
  return result;
}

describe('a request', () => {
  test('is sent with an id, and its promise is the answer with that id', async () => {
    const { w, client } = connected();
    const first = client.request({ type: 'a' });
    const second = client.request({ type: 'b' });
    const [{ id: a, ...message }, { id: b }] = w.socket.sent;
    assert.deepEqual(message, { type: 'a' });
    assert.notEqual(a, b);
    assert.match(a, /^[\w-]{1,64}$/);
    w.socket.receive({ type: 'ack', id: b, n: 2 });
    w.socket.receive({ type: 'ack', id: a, n: 1 });
    assert.equal((await first).n, 1);
    assert.equal((await second).n, 2);
    assert.equal(w.clock.pending, 2, 'only the look at the clock and the next ping are left');
  });

  for (const [what, value] of [
    ['a BigInt', 1n],
    ['a cycle', (() => { const cycle = {}; cycle.self = cycle; return cycle; })()],
    ['a value whose toJSON throws', { toJSON() { throw new Error('no'); } }],
  ]) {
    test(`with ${what}, which JSON cannot say, rejects alone`, async () => {
      const w = world();
      const store = memoryStore();
      const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
      const before = client.request({ type: 'a' });
      const bad = client.request({ type: 'bad', value });
      const behind = client.request({ type: 'b' });
      assert.equal(await outcome(bad), 'invalid-message');
      const states = record(client, 'state');
      client.connect();
      await settled();
      w.socket.open();
      assert.equal(states.at(-1).state, 'connected');
      assert.deepEqual(w.socket.sent.map(({ type }) => type), ['a', 'b']);
      assert.deepEqual([...store.stored.values()].map(({ message }) => message.type), ['a', 'b']);
      assert.equal(await outcome(client.request({ value })), 'invalid-message', 'connected too');
      assert.deepEqual([await outcome(before), await outcome(behind)], ['open', 'open']);
    });
  }

  test('is what it was when it was made, whatever becomes of its objects', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    const message = { type: 'a', list: [1] };
    void client.request(message);
    message.list.push(1n);
    client.connect();
    w.socket.open();
    assert.deepEqual(w.socket.sent.map(({ list }) => list), [[1]]);
  });

  test('that the server refuses rejects with its words, and is nobody else’s error', async () => {
    const { w, client } = connected();
    const errors = record(client, 'error');
    const messages = record(client, 'message');
    const request = client.request({ type: 'a' });
    const answer = { type: 'error', id: w.socket.sent[0].id, code: 'not-found', message: 'No such thing' };
    w.socket.receive(answer);
    await assert.rejects(request, { code: 'refused', refusal: 'not-found', message: 'No such thing', cause: answer });
    assert.deepEqual(errors, []);
    assert.deepEqual(messages, [answer]);
  });

  test('waits for a connection, and goes out in the order in which it was made', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    void client.request({ n: 1 });
    client.connect();
    void client.request({ n: 2 });
    client.on('state', ({ state }) => state === 'connected' && void client.request({ n: 3 }));
    w.socket.open();
    assert.deepEqual(w.socket.sent.map(({ n }) => n), [1, 2, 3]);
  });

  test('whose answer was lost with the connection is repeated under the same id', async () => {
    const { w, client } = connected();
    const request = client.request({ type: 'a' });
    const { id } = w.socket.sent[0];
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.open();
    assert.deepEqual(w.socket.sent, [{ type: 'a', id }]);
    w.socket.receive({ type: 'ack', id });
    assert.equal((await request).type, 'ack');
    w.socket.end(1006);
    w.clock.advance(500);
    w.socket.open();
    assert.deepEqual(w.socket.sent, []);
  });

  for (const [how, pass] of [
    ['is set back by an hour', (clock) => (clock.adjust(-3_600_000), clock.advance(110_000))],
    ['stands still while the machine sleeps, and the date does not', (clock) => clock.adjust(110_000)],
  ]) {
    test(`is not repeated after the window when the clock ${how}`, async () => {
      const { w, client } = connected({ requestTimeoutMs: Infinity });
      const sent = client.request({ type: 'sent' });
      w.network.dispatchEvent(new Event('offline'));
      pass(w.clock);
      w.network.dispatchEvent(new Event('online'));
      w.socket.open();
      assert.equal(await outcome(sent), 'unconfirmed');
      assert.deepEqual(w.socket.sent, []);
    });
  }

  test('is repeated within the window when the clock is set back by an hour', async () => {
    const { w, client } = connected({ requestTimeoutMs: Infinity });
    const sent = client.request({ type: 'sent' });
    w.socket.end(1006);
    w.clock.adjust(-3_600_000);
    w.clock.advance(250);
    w.socket.open();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['sent']);
    assert.equal(await outcome(sent), 'open');
  });

  test('is not repeated after a pause either, when the server may have forgotten it', async () => {
    const { w, client } = connected({ requestTimeoutMs: Infinity });
    const sent = client.request({ type: 'sent' });
    w.socket.receive({ type: 'error', code: 'rate-limited', message: 'Rate limit exceeded', retryAfterMs: 110_000 });
    w.clock.advance(110_000);
    assert.equal(await outcome(sent), 'unconfirmed');
    assert.equal(w.socket.sent.length, 1);
  });

  for (const [told, wanted, window] of [[60_000, undefined, 50_000], [600_000, undefined, 590_000], [600_000, 20_000, 20_000], ['long', undefined, 110_000]]) {
    test(`is repeated for ${window} ms by a server that remembers for ${told}${wanted ? `, and an application that wants ${wanted}` : ''}`, async () => {
      const options = { requestTimeoutMs: Infinity, ...(wanted && { repeatWindowMs: wanted }) };
      const { w, client } = connected(options);
      client.request({ type: 'first' });
      w.socket.receive({ type: 'ack', id: w.socket.sent[0].id });
      w.socket.receive({ type: 'hello', id: w.socket.hellos[0].id, windowMs: told });
      const early = client.request({ type: 'early' });
      w.network.dispatchEvent(new Event('offline'));
      w.clock.advance(window - 1);
      w.network.dispatchEvent(new Event('online'));
      w.socket.open();
      assert.equal(await outcome(early), 'open');
      w.network.dispatchEvent(new Event('offline'));
      w.clock.advance(1);
      w.network.dispatchEvent(new Event('online'));
      w.socket.open();
      assert.equal(await outcome(early), 'unconfirmed');
    });
  }

  test('is not repeated when the server may have forgotten it', async () => {
    const { w, client } = connected({ requestTimeoutMs: Infinity });
    const sent = client.request({ type: 'sent' });
    w.network.dispatchEvent(new Event('offline'));
    const waiting = client.request({ type: 'waiting' });
    w.clock.advance(110_000);
    w.network.dispatchEvent(new Event('online'));
    w.socket.open();
    assert.equal(await outcome(sent), 'unconfirmed');
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['waiting']);
    assert.equal(await outcome(waiting), 'open');
  });

  test('that is not to be repeated fails with its connection', async () => {
    const { w, client } = connected();
    const query = client.request({ type: 'query' }, { repeat: false });
    w.socket.end(1006);
    const waiting = client.request({ type: 'waiting' }, { repeat: false });
    w.clock.advance(250);
    w.socket.open();
    assert.equal(await outcome(query), 'unconfirmed');
    assert.equal(await outcome(waiting), 'open');
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['waiting']);
  });

  test('fails when no answer comes in time, connected or not', async () => {
    const { w, client } = connected();
    const short = client.request({}, { timeoutMs: 1_000 });
    const usual = client.request({});
    w.clock.advance(999);
    assert.equal(await outcome(short), 'open');
    w.clock.advance(1);
    assert.equal(await outcome(short), 'timeout');
    w.socket.end(1006);
    w.clock.advance(28_999);
    assert.equal(await outcome(usual), 'open');
    w.clock.advance(1);
    assert.equal(await outcome(usual), 'timeout');
  });

  test('that the server dropped, as there were too many messages, goes out again in its time', async () => {
    const { w, client } = connected();
    const first = client.request({ type: 'a' });
    client.request({ type: 'b' });
    const question = client.request({ type: 'c' }, { repeat: false });
    const [{ id: a }, { id: b }, { id: c }] = w.socket.sent;
    w.socket.receive({ type: 'ack', id: a });
    await first;
    w.socket.receive({ type: 'error', code: 'rate-limited', message: 'Rate limit exceeded', retryAfterMs: 700 });
    w.clock.advance(699);
    assert.equal(w.socket.sent.length, 3);
    w.clock.advance(1);
    assert.deepEqual(w.socket.sent.slice(3), [{ type: 'b', id: b }, { type: 'c', id: c }]);
    assert.equal(await outcome(question), 'open');

    // What is lost with the connection is a matter of the next one.
    w.socket.receive({ type: 'error', code: 'rate-limited', message: 'Rate limit exceeded', retryAfterMs: 700 });
    w.socket.end(1006);
    w.clock.advance(700);
    assert.equal(w.sockets[0].sent.length, 5);
  });

  test('that the server puts off by its id is not refused, and goes out again in its time', async () => {
    const { w, client } = connected();
    const errors = record(client, 'error');
    const request = client.request({ type: 'a' }, { repeat: false });
    const { id } = w.socket.sent[0];
    w.socket.receive({ type: 'error', id, code: 'rate-limited', message: 'Rate limit exceeded', retryAfterMs: 700 });
    const later = client.request({ type: 'b' });
    w.clock.advance(699);
    assert.equal(w.socket.sent.length, 1, 'meanwhile nothing goes out');
    w.clock.advance(1);
    assert.deepEqual(w.socket.sent.slice(1).map(({ type }) => type), ['a', 'b']);
    w.socket.receive({ type: 'ack', id });
    assert.equal((await request).type, 'ack');
    assert.equal(await outcome(later), 'open');
    assert.deepEqual(errors, []);
  });

  test('is refused when too many wait', async () => {
    const w = world();
    const client = new Client(ADDRESS, { ...w.options, requestLimit: 2 });
    const first = client.request({});
    void client.request({});
    assert.equal(await outcome(client.request({})), 'overflow');
    assert.equal(await outcome(first), 'open');
  });

  for (const [how, end] of [
    ['closed', ({ client }) => client.close()],
    ['refused', ({ w }) => w.socket.end(1008)],
  ]) {
    test(`of a client that is ${how} rejects`, async () => {
      const world = connected();
      const request = world.client.request({});
      end(world);
      assert.equal(await outcome(request), 'closed');
      assert.equal(world.w.clock.pending, 0);
    });
  }

  test('before the first connect can be given up too', async () => {
    const client = new Client(ADDRESS, world().options);
    const request = client.request({});
    client.close();
    assert.equal(await outcome(request), 'closed');
  });
});

describe('an open connection that is silent', () => {
  /** A client whose server has shown that it answers. */
  async function answered(options) {
    const connection = connected(options);
    const { w, client } = connection;
    const first = client.request({});
    w.socket.receive({ type: 'ack', id: w.socket.sent[0].id });
    await first;
    return connection;
  }

  test('counts as lost when an answer is due for fifteen seconds, and the request is repeated', async () => {
    const { w, client } = await answered();
    void client.request({ type: 'b' });
    w.clock.advance(14_999);
    assert.equal(client.state, 'connected');
    w.clock.advance(1);
    assert.equal(client.reason, 'no-answer');
    w.clock.advance(250);
    w.socket.open();
    assert.equal(w.socket.sent[0].type, 'b');
  });

  test('is given time anew by everything that is heard', async () => {
    const { w, client } = await answered();
    void client.request({});
    for (let i = 0; i < 3; i += 1) {
      w.clock.advance(9_000);
      w.socket.receive({ type: 'whatever' });
    }
    assert.equal(client.state, 'connected');
  });

  test('may stay silent when nothing is asked, but for its answers to pings', async () => {
    const { w, client } = await answered();
    for (let i = 0; i < 180; i += 1) {
      w.clock.advance(20_000);
      const { type, id } = w.socket.sent.at(-1);
      assert.equal(type, 'ping');
      w.socket.receive({ type: 'pong', id });
    }
    assert.equal(client.state, 'connected');
  });

  test('is not judged where the server never answered', () => {
    const { w, client } = connected();
    void client.request({}, { timeoutMs: 60_000 });
    w.clock.advance(59_999);
    assert.equal(client.state, 'connected');
  });
});

describe('the outbox', () => {
  test('holds a request until it is answered', async () => {
    const store = memoryStore();
    const { w, client } = connected({ outbox: new Outbox(store) });
    await settled();
    void client.request({ type: 'a' });
    const { id } = w.socket.sent[0];
    assert.deepEqual([...store.stored.values()], [{ id, message: { type: 'a' }, place: ADDRESS, sentAt: w.clock.date() }]);
    w.socket.receive({ type: 'ack', id });
    assert.equal(store.stored.size, 0);
  });

  test('holds what waits, but not what is not to be repeated', () => {
    const store = memoryStore();
    const client = new Client(ADDRESS, { ...world().options, outbox: new Outbox(store) });
    void client.request({ type: 'a' });
    void client.request({ type: 'b' }, { repeat: false });
    assert.deepEqual([...store.stored.values()].map(({ message, sentAt }) => [message, sentAt]), [
      [{ type: 'a' }, undefined],
    ]);
  });

  test('keeps what a client that is closed leaves behind, and the next one sends it first', async () => {
    const store = memoryStore();
    const w = world();
    const first = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    const left = first.request({ type: 'left' });
    first.close();
    assert.equal(await outcome(left), 'closed');

    const second = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    const restored = record(second, 'restored');
    void second.request({ type: 'new' });
    second.connect();
    w.socket.open();
    assert.deepEqual(w.socket.sent, [], 'nothing goes out before the older ones are known');
    await settled();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['left', 'new']);
    assert.deepEqual(restored.map(({ message }) => message), [{ type: 'left' }]);
    w.socket.receive({ type: 'ack', id: w.socket.sent[0].id });
    assert.equal((await restored[0].reply).type, 'ack');
    assert.equal(store.stored.size, 1);
  });

  test('is read again by a client that was closed and is connected anew', async () => {
    const w = world();
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(memoryStore()) });
    const restored = record(client, 'restored');
    client.connect();
    w.socket.open();
    await settled();
    const left = client.request({ type: 'left' });
    client.close();
    assert.equal(await outcome(left), 'closed');
    client.connect();
    w.socket.open();
    await settled();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['left']);
    assert.equal(restored.length, 1);
  });

  test('does not repeat what went out too long ago, and says so', async () => {
    const w = world();
    const store = memoryStore([
      { id: 'old', message: { type: 'old' }, place: ADDRESS, sentAt: w.clock.now() - 110_000 },
      { id: 'fresh', message: { type: 'fresh' }, place: ADDRESS, sentAt: w.clock.now() - 109_999 },
    ]);
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    const restored = record(client, 'restored');
    client.connect();
    await settled();
    w.socket.open();
    assert.deepEqual(w.socket.sent, [{ type: 'fresh', id: 'fresh' }]);
    assert.equal(await outcome(restored[0].reply), 'unconfirmed');
    assert.deepEqual([...store.stored.keys()], ['fresh']);
  });

  test('does not repeat what went out in the future, as the clock was set back meanwhile', async () => {
    const w = world();
    const store = memoryStore([{ id: 'old', message: { type: 'old' }, place: ADDRESS, sentAt: w.clock.date() + 1 }]);
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    const restored = record(client, 'restored');
    client.connect();
    await settled();
    w.socket.open();
    assert.deepEqual(w.socket.sent, []);
    assert.equal(await outcome(restored[0].reply), 'unconfirmed');
  });

  test('hands back what an earlier page kept and JSON cannot say, and sends the rest', async () => {
    const w = world();
    const store = memoryStore([
      { id: 'bad', message: { type: 'bad', n: 1n }, place: ADDRESS },
      { id: 'good', message: { type: 'good' }, place: ADDRESS },
    ]);
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    const restored = record(client, 'restored');
    client.connect();
    await settled();
    w.socket.open();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['good']);
    assert.equal(await outcome(restored[0].reply), 'invalid-message');
    assert.deepEqual([...store.stored.keys()], ['good']);
  });

  test('forgets a request of which it could not keep that it went out, lest it is repeated as new', async () => {
    const store = memoryStore();
    const w = world();
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
    client.request({ type: 'a' }).catch(() => {});
    await settled();
    assert.equal(store.stored.size, 1);
    store.put = async () => {
      throw new Error('full');
    };
    client.connect();
    await settled();
    w.socket.open();
    await settled();
    assert.equal(w.socket.sent.length, 1);
    assert.equal(store.stored.size, 0);
  });

  test('that cannot be read is a fault, and the client goes on without it', async () => {
    const broken = async () => {
      throw new Error('quota');
    };
    const w = world();
    const outbox = { load: broken, put: broken, remove: broken };
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(outbox) });
    const faults = record(client, 'fault');
    const request = client.request({});
    client.connect();
    w.socket.open();
    await settled();
    assert.deepEqual(faults.map(({ code, cause }) => [code, cause.message]), [['store', 'quota']], 'once');
    w.socket.receive({ type: 'ack', id: w.socket.sent[0].id });
    assert.equal((await request).type, 'ack');
  });

  test('gives requests all the time they need', async () => {
    const client = new Client(ADDRESS, { ...world().options, outbox: new Outbox(memoryStore()) });
    const request = client.request({});
    assert.equal(await outcome(request), 'open');
    const w = world();
    void new Client(ADDRESS, { ...w.options, outbox: new Outbox(memoryStore()) }).request({});
    await settled();
    assert.equal(w.clock.pending, 0);
  });
});

for (const options of [
  { requestTimeoutMs: 0 },
  { answerTimeoutMs: 0 },
  { requestLimit: -1 },
  { repeatWindowMs: NaN },
]) {
  test(`the options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(() => new Client(ADDRESS, { ...world().options, ...options }), {
      code: 'invalid-option',
    });
  });
}

test('a request that is given up before the first connection is not in the outbox any more', async () => {
  const { options, clock } = world();
  const store = memoryStore();
  const client = new Client(ADDRESS, { ...options, outbox: new Outbox(store) });
  const reply = client.request({ type: 'late' }, { timeoutMs: 5_000 }).catch(({ code }) => code);
  await settled();
  assert.equal(store.stored.size, 1);
  clock.advance(5_000);
  assert.equal(await reply, 'timeout');
  await settled();
  assert.equal(store.stored.size, 0);
});

test('a store that closes the client when it is asked leaves no connection behind', () => {
  const w = world();
  const store = { ...memoryStore(), load: () => (client.close(), Promise.resolve([])) };
  const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(store) });
  client.connect();
  assert.equal(client.state, 'closed');
  assert.equal(w.sockets.length, 0);
});

describe('the requests of a client that only listens', () => {
  const live = (options) => {
    const w = world();
    const client = new LiveClient('jwt', { ...w.options, server: 'ws://server.example', ...options });
    return { w, client };
  };
  const code = async (reply) => (await reply.catch((error) => error)).code;

  test('live with the connection', async () => {
    const { w, client } = live();
    assert.equal(await code(client.request({ type: 'publish' })), 'unsent');
    client.connect();
    w.socket.open();
    const answered = client.request({ type: 'publish' });
    const { id } = w.socket.sent.at(-1);
    w.socket.receive({ type: 'published', id });
    assert.equal((await answered).type, 'published');
    const lost = client.request({ type: 'publish' });
    w.socket.break();
    assert.equal(await code(lost), 'unconfirmed');
    w.clock.advance(250);
    w.socket.open();
    assert.deepEqual(w.socket.sent.filter(({ type }) => type === 'publish'), []);
  });

  test('wait for a connection, and go out again on the next one, with an outbox in memory', async () => {
    const { w, client } = live({ outbox: new Outbox() });
    const reply = client.request({ type: 'publish' });
    client.connect();
    w.socket.open();
    const [first] = w.socket.sent.filter(({ type }) => type === 'publish');
    w.socket.break();
    w.clock.advance(250);
    w.socket.open();
    const [second] = w.socket.sent.filter(({ type }) => type === 'publish');
    assert.deepEqual(second, first);
    w.socket.receive({ type: 'published', id: first.id });
    assert.equal((await reply).type, 'published');
    assert.deepEqual(await new Outbox().load(), []);
  });
});
