import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client } from '../src/index.js';
import { record, recordStates, settled, world } from './kit/world.js';

const ADDRESS = 'ws://server.example/live';

function connected(options = {}) {
  const w = world();
  const client = new Client(ADDRESS, { ...w.options, ...options });
  client.connect();
  w.socket.open();
  return { w, client };
}

/** A client whose server has shown that it answers. */
async function answered() {
  const connection = connected();
  const first = connection.client.request({});
  connection.w.socket.receive({ type: 'ack', id: connection.w.socket.sent[0].id });
  await first;
  return connection;
}

const event = (type, fields) => Object.assign(new Event(type), fields);

describe('a page that is shown again', () => {
  test('ends the wait for the next attempt', () => {
    const { w, client } = connected();
    w.show(false);
    w.socket.end(1006);
    w.show(true);
    assert.equal(client.state, 'connecting');
    assert.equal(client.reason, 'awake');
    assert.equal(w.sockets.length, 2);
  });

  test('asks whether the connection lives, and finds that it does', async () => {
    const { w, client } = await answered();
    const errors = record(client, 'error');
    w.show(false);
    assert.equal(w.socket.sent.length, 1);
    w.show(true);
    const { type, id } = w.socket.sent.at(-1);
    assert.equal(type, 'ping');
    w.socket.receive({ type: 'error', id, code: 'unknown-type', message: 'Unknown message type' });
    w.clock.advance(20_000);
    assert.equal(client.state, 'connected');
    assert.deepEqual(errors, [], 'the answer is nobody’s error');
  });

  test('asks whether the connection lives, and finds that it does not', async () => {
    const { w, client } = await answered();
    w.show(true);
    w.clock.advance(4_999);
    assert.equal(client.state, 'connected');
    w.clock.advance(1);
    assert.equal(client.state, 'disconnected');
    assert.equal(client.reason, 'no-answer');
  });

  test('asks nothing of a server that would not answer', () => {
    const { w, client } = connected();
    w.show(true);
    w.clock.advance(60_000);
    assert.deepEqual(w.socket.sent, []);
    assert.equal(client.state, 'connected');
  });
});

describe('a machine that slept', () => {
  test('makes its connection anew, when the server cannot be asked', () => {
    const { w, client } = connected();
    w.clock.sleep(3_600_000);
    w.clock.advance(0);
    assert.equal(client.reason, 'no-answer');
    w.clock.advance(250);
    w.socket.open();
    assert.equal(client.state, 'connected');
  });

  test('asks a server that answers', async () => {
    const { w, client } = await answered();
    w.clock.sleep(3_600_000);
    w.clock.advance(0);
    assert.equal(client.state, 'connected');
    assert.equal(w.socket.sent.at(-1).type, 'ping');
  });

  for (const hours of [1, -1]) {
    test(`is not mistaken for one whose clock is set by ${hours} hours`, () => {
      const { w, client } = connected();
      w.clock.adjust(hours * 3_600_000);
      w.clock.advance(60_000);
      assert.equal(client.state, 'connected');
    });
  }

  test('is not mistaken for a tab in the background, whose timers are called once a minute', () => {
    const { w, client } = connected();
    for (let minutes = 0; minutes < 30; minutes += 1) {
      w.clock.sleep(60_000);
      w.clock.advance(0);
    }
    assert.equal(client.state, 'connected');
  });
});

describe('a page in the back-forward cache', () => {
  test('is suspended, and connects as soon as it is shown', () => {
    const { w, client } = connected();
    const states = recordStates(client);
    w.network.dispatchEvent(event('pagehide', { persisted: true }));
    assert.equal(w.sockets[0].closedWith, 1000);
    w.network.dispatchEvent(event('pageshow', { persisted: true }));
    w.socket.open();
    assert.deepEqual(states, [
      'suspended: asleep',
      'connecting: awake',
      'connected: opened',
    ]);
  });

  test('is not one that is left, or that is loaded', () => {
    const { w, client } = connected();
    w.network.dispatchEvent(event('pagehide', { persisted: false }));
    w.network.dispatchEvent(event('pageshow', { persisted: false }));
    assert.equal(client.state, 'connected');
    assert.equal(w.sockets.length, 1);
  });
});

describe('a server that says when to come back', () => {
  for (const [how, tell] of [
    ['in a message', (socket) => (socket.receive({ type: 'reconnect', afterMs: 7_000 }), socket.end(1012))],
    ['in the close frame', (socket) => socket.end(1012, 'reconnect after 7000 ms')],
    ['in a message before the connection breaks', (socket) => (socket.receive({ type: 'reconnect', afterMs: 7_000 }), socket.break())],
  ]) {
    test(`${how} is obeyed to the millisecond`, () => {
      const { w, client } = connected();
      const retries = record(client, 'retry');
      tell(w.socket);
      assert.deepEqual(retries, [{ attempt: 0, delayMs: 7_000 }]);
      w.clock.advance(6_999);
      assert.equal(w.sockets.length, 1);
      w.clock.advance(1);
      assert.equal(w.sockets.length, 2);
      w.socket.break();
      assert.equal(retries.at(-1).delayMs, 250, 'the advice holds once');
    });
  }

  test('is not overrun by those whose page is shown or whose network comes back', () => {
    const { w, client } = connected();
    w.socket.end(1012, 'reconnect after 7000 ms');
    w.show(true);
    w.network.dispatchEvent(new Event('online'));
    assert.equal(w.sockets.length, 1);
    client.connect();
    assert.equal(w.sockets.length, 2, 'whoever asks for it may');
  });

  for (const afterMs of [-1, NaN, 'soon', null, undefined, {}]) {
    test(`is not obeyed when it says ${JSON.stringify(afterMs)}`, () => {
      const { w, client } = connected();
      const retries = record(client, 'retry');
      w.socket.receive({ type: 'reconnect', afterMs });
      w.socket.end(1012, 'reconnect after x ms');
      assert.equal(retries[0].delayMs, 250);
    });
  }

  test('can keep nobody away for more than five minutes', () => {
    const { w, client } = connected();
    const retries = record(client, 'retry');
    w.socket.end(1012, 'reconnect after 99999999999 ms');
    assert.equal(retries[0].delayMs, 300_000);
  });
});

test('a client that was closed asks nothing of the platform', async () => {
  const { w, client } = await answered();
  client.close();
  w.show(true);
  w.clock.sleep(3_600_000);
  w.clock.advance(100_000);
  await settled();
  assert.equal(w.sockets.length, 1);
  assert.equal(client.state, 'closed');
});
