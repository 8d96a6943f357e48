import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client, Outbox } from '../src/index.js';
import { FakeIndexedDB } from './kit/fake-indexed-db.js';
import { memoryStore } from './kit/memory-store.js';
import { record, settled, world } from './kit/world.js';

const ADDRESS = 'ws://server.example/live';
const NAME = 'nextrush-outbox:test';

/** A client with an outbox, whose database is the test's. */
function setting(indexedDB = new FakeIndexedDB()) {
  const w = world();
  const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox('test', { indexedDB }) });
  const faults = record(client, 'fault');
  const answer = () => {
    for (const { id } of w.socket.sent.filter(({ type }) => type === 'a')) w.socket.receive({ type: 'ack', id });
  };
  return { w, client, faults, indexedDB, rows: () => indexedDB.databases.get(NAME), answer };
}

test('a request is kept until it is answered, and the next page sends it', async () => {
  const { client, rows, indexedDB, faults } = setting();
  client.request({ type: 'a' }).catch(() => {});
  client.request({ type: 'b' }).catch(() => {});
  await settled();
  assert.equal(rows().size, 2);
  client.close();
  const next = setting(indexedDB);
  next.client.connect();
  await settled();
  next.w.socket.open();
  assert.deepEqual(next.w.socket.sent.map(({ type }) => type), ['a', 'b']);
  next.answer();
  await settled();
  assert.equal(rows().size, 1);
  assert.deepEqual(faults, []);
});

for (const [what, held, restores] of [
  ['nothing', undefined, 0],
  ['null', null, 0],
  ['an object', {}, 0],
  ['null among its requests', [null, { id: 'b', message: { type: 'b' } }], 1],
  ['a request without a message', [{ id: 'b' }], 0],
  ['a request whose id is a number', [{ id: 5, message: { type: 'b' } }], 0],
]) {
  test(`a store that holds ${what} is told once, and requests go out`, async () => {
    const w = world();
    const store = { load: () => /** @type {any} */ (held), put: () => undefined, remove: () => undefined };
    const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(/** @type {any} */ (store)) });
    const faults = record(client, 'fault');
    const restored = record(client, 'restored');
    client.request({ type: 'a' }).catch(() => {});
    client.connect();
    await settled();
    w.socket.open();
    await settled();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['a']);
    assert.deepEqual(faults.map(({ code }) => code), ['store']);
    assert.equal(restored.length, restores);
  });
}

describe('a database', () => {
  test('that never answers is told once, and requests go on in memory', async () => {
    const indexedDB = new FakeIndexedDB();
    indexedDB.mute = true;
    const { w, client, faults, answer } = setting(indexedDB);
    const early = client.request({ type: 'a' });
    client.connect();
    await settled();
    w.socket.open();
    assert.deepEqual(w.socket.sent, [], 'older ones might be in there');
    w.clock.advance(5_000);
    await settled();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['a']);
    const late = client.request({ type: 'a' });
    answer();
    assert.equal((await early).type, 'ack');
    assert.equal((await late).type, 'ack');
    for (let i = 0; i < 10; i += 1) {
      w.clock.advance(1_000);
      await settled();
    }
    assert.deepEqual(faults.map(({ code }) => code), ['store']);
  });

  test('that is full is told once, and requests go on in memory', async () => {
    const { w, client, faults, indexedDB, answer } = setting();
    client.connect();
    await settled();
    w.socket.open();
    indexedDB.full = true;
    const replies = [client.request({ type: 'a' }), client.request({ type: 'a' })];
    await settled();
    assert.deepEqual(faults.map(({ code, cause }) => [code, cause.name]), [['store', 'QuotaExceededError']]);
    answer();
    for (const reply of replies) assert.equal((await reply).type, 'ack');
    assert.equal(faults.length, 1);
  });

  test('that is not there is told once', async () => {
    const { w, client, faults } = setting(null);
    client.connect();
    await settled();
    w.socket.open();
    void client.request({ type: 'a' }).catch(() => {});
    await settled();
    assert.equal(w.socket.sent.length, 1);
    assert.deepEqual(faults.map(({ code }) => code), ['store']);
  });

  for (const silently of [false, true]) {
    test(`that the browser closes${silently ? ' without a word' : ''} is opened again`, async () => {
      const { client, faults, rows, indexedDB } = setting();
      client.request({ type: 'a' }).catch(() => {});
      await settled();
      indexedDB.lose({ silently });
      client.request({ type: 'b' }).catch(() => {});
      await settled();
      assert.equal(rows().size, 2);
      assert.equal(indexedDB.opens, 2);
      assert.deepEqual(faults, []);
    });
  }

  test('that is deleted while it is open does not hold that up, and is made anew', async () => {
    const { client, faults, rows, indexedDB } = setting();
    client.request({ type: 'a' }).catch(() => {});
    await settled();
    assert.equal(indexedDB.delete(NAME), true);
    client.request({ type: 'b' }).catch(() => {});
    await settled();
    assert.deepEqual([...rows().values()].map(({ message }) => message.type), ['b']);
    assert.deepEqual(faults, []);
  });

  test('that cannot be opened now can be opened later', async () => {
    const indexedDB = new FakeIndexedDB();
    const open = indexedDB.open.bind(indexedDB);
    indexedDB.open = () => {
      throw new DOMException('no', 'UnknownError');
    };
    const { client, faults, rows } = setting(indexedDB);
    client.request({ type: 'a' }).catch(() => {});
    await settled();
    indexedDB.open = open;
    client.request({ type: 'b' }).catch(() => {});
    await settled();
    assert.equal(rows().size, 1);
    assert.equal(faults.length, 1);
  });
});

for (const [what, fails] of /** @type {const} */ ([
  ['fails', () => Promise.reject(new Error('busy'))],
  ['does not answer in time', () => new Promise(() => {})],
])) {
  test(`a store that ${what} at first is read at the next attempt, and holds nothing up`, async () => {
    const w = world();
    const { stored, ...kept } = memoryStore([{ id: 'old', message: { type: 'old' }, place: ADDRESS, user: '"ada"' }]);
    let loads = 0;
    /** @type {((loaded: any) => void)} */
    let answers = () => {};
    const second = new Promise((resolve) => (answers = resolve));
    const load = () => ((loads += 1) === 1 ? fails() : second);
    const outbox = new Outbox({ ...kept, load });
    const client = new Client(ADDRESS, { ...w.options, outbox, user: 'ada' });
    const restored = record(client, 'restored');
    client.connect();
    await settled();
    w.clock.advance(5_000);
    await settled();
    w.socket.break();
    w.clock.advance(500);
    await settled();
    assert.equal(loads, 2);
    const reply = client.request({ type: 'new' });
    await settled();
    const asItWas = await kept.load();
    w.socket.open();
    await settled();
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['new']);
    w.socket.receive({ type: 'ack', id: w.socket.sent[0].id });
    await reply;
    answers(asItWas);
    await settled();
    // What was answered meanwhile is not taken up again.
    assert.deepEqual(restored.map(({ id }) => id), ['old']);
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['new', 'old']);
    w.socket.receive({ type: 'ack', id: 'old' });
    await settled();
    assert.equal(stored.size, 0);
  });
}

test('a store that answers late is read then, on the connection that there is', async () => {
  const w = world();
  const { stored, ...kept } = memoryStore([{ id: 'old', message: { type: 'old' }, place: ADDRESS, user: '"ada"' }]);
  /** @type {(() => void)[]} */
  const answers = [];
  const load = async () => {
    if (answers.length < 2) await new Promise((resolve) => answers.push(/** @type {any} */ (resolve)));
    return kept.load();
  };
  const make = () => new Client(ADDRESS, { ...w.options, outbox: new Outbox({ ...kept, load }), user: 'ada' });
  const [client, closed] = [make(), make()];
  const restored = [record(client, 'restored'), record(closed, 'restored')];
  for (const each of [closed, client]) each.connect();
  await settled();
  w.socket.open();
  w.clock.advance(5_000);
  await settled();
  closed.close();
  assert.deepEqual(w.socket.sent, []);
  for (const answer of answers) answer();
  await settled();
  await settled();
  assert.deepEqual(restored.map((requests) => requests.map(({ id }) => id)), [['old'], []]);
  assert.deepEqual(w.socket.sent.map(({ type }) => type), ['old']);
  w.socket.receive({ type: 'ack', id: 'old' });
  await settled();
  assert.equal(stored.size, 0);
});

test('one slow answer among many others is told too', async () => {
  const w = world();
  const quick = async () => {};
  let n = 0;
  const outbox = { load: async () => [], put: () => ((n += 1) === 1 ? new Promise(() => {}) : quick()), remove: quick };
  const client = new Client(ADDRESS, { ...w.options, outbox: new Outbox(outbox) });
  const faults = record(client, 'fault');
  for (let i = 0; i < 12; i += 1) {
    client.request({ type: 'a' }).catch(() => {});
    w.clock.advance(1_000);
    await settled();
  }
  assert.equal(faults.length, 1);
});
