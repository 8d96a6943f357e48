import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client, ClientError, ErrorCode, State } from '../src/index.js';
import { record, recordStates, settled, world } from './kit/world.js';

const ADDRESS = 'ws://server.example/robust-chat/lobby';

/** A client that is connected. */
function connected(options = {}, address = ADDRESS) {
  const w = world();
  const client = new Client(address, { ...w.options, ...options });
  client.connect();
  w.socket.open();
  return { w, client };
}

describe('states', () => {
  test('a new client is closed and opens nothing', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    assert.equal(client.state, State.Closed);
    assert.equal(client.reason, 'new');
    assert.equal(client.socket, null);
    assert.equal(w.sockets.length, 0);
  });

  test('connecting, connected, closed: each change is told with its reason', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    const changes = record(client, 'state');
    client.connect();
    assert.equal(client.socket, w.socket);
    w.socket.open();
    client.close();
    assert.deepEqual(changes, [
      { state: 'connecting', previous: 'closed', reason: 'connect' },
      { state: 'connected', previous: 'connecting', reason: 'opened' },
      { state: 'closed', previous: 'connected', reason: 'close-called' },
    ]);
    assert.equal(w.sockets[0].closedWith, 1000);
    assert.equal(client.socket, null);
    assert.equal(w.clock.pending, 0);
  });

  test('connecting twice opens one socket', () => {
    const { w, client } = connected();
    client.connect();
    assert.equal(w.sockets.length, 1);
  });

  test('closing twice is told once', () => {
    const { client } = connected();
    const states = recordStates(client);
    client.close();
    client.close();
    assert.deepEqual(states, ['closed: close-called']);
  });

  test('a closed client can be connected again', () => {
    const { w, client } = connected();
    client.close();
    client.connect();
    w.socket.open();
    assert.equal(client.state, State.Connected);
    assert.equal(w.sockets.length, 2);
  });

  test('a socket that was given up is not heard any more', () => {
    const { w, client } = connected();
    const messages = record(client, 'message');
    client.close();
    w.sockets[0].receive({ type: 'late' });
    w.sockets[0].end(1006);
    assert.deepEqual(messages, []);
    assert.equal(client.state, State.Closed);
  });

  test('an old socket that closes late does not disturb the new connection', () => {
    const { w, client } = connected();
    client.close();
    client.connect();
    w.socket.open();
    w.sockets[0].end(1000);
    assert.equal(client.state, State.Connected);
  });

  test('a listener that closes the client while it connects prevents the attempt', () => {
    const w = world();
    const client = new Client(() => assert.fail('not asked'), w.options);
    client.on('state', ({ state }) => state === State.Connecting && client.close());
    client.connect();
    assert.equal(w.sockets.length, 0);
    assert.equal(client.state, State.Closed);
    assert.equal(w.clock.pending, 0);
  });

  test('a listener that closes the client when the connection is lost prevents the reconnect', () => {
    const { w, client } = connected();
    const states = recordStates(client);
    client.on('state', ({ state }) => state === State.Disconnected && client.close());
    w.socket.end(1006);
    w.clock.advance(60_000);
    assert.deepEqual(states, ['disconnected: connection-lost', 'closed: close-called']);
    assert.equal(w.sockets.length, 1);
  });
});

describe('reconnecting', () => {
  test('it comes back after each loss, waiting longer each time, without an end', () => {
    const { w, client } = connected();
    const retries = record(client, 'retry');
    w.socket.end(1006);
    for (let failures = 0; failures < 9; failures += 1) {
      w.clock.advance(retries.at(-1).delayMs);
      w.socket.break();
    }
    assert.deepEqual(
      retries.map(({ delayMs }) => delayMs),
      [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000],
    );
    assert.deepEqual(retries.map(({ attempt }) => attempt), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.equal(client.state, State.Disconnected);
    assert.equal(client.reason, 'connect-failed');
  });

  test('it does not try before the wait is over', () => {
    const { w, client } = connected();
    w.socket.end(1006);
    w.clock.advance(249);
    assert.equal(w.sockets.length, 1);
    w.clock.advance(1);
    assert.equal(w.sockets.length, 2);
    assert.equal(client.reason, 'retry');
  });

  test('connecting by hand while waiting tries at once, and only once', () => {
    const { w, client } = connected();
    w.socket.end(1006);
    client.connect();
    w.clock.advance(250);
    assert.equal(w.sockets.length, 2);
  });

  test('an open connection sets the attempts to nought', () => {
    const { w, client } = connected();
    w.socket.end(1006);
    assert.equal(client.reconnectAttempts, 1);
    w.clock.advance(250);
    w.socket.open();
    assert.equal(client.reconnectAttempts, 0);
  });

  test('a server that accepts and closes at once is called ever less often', () => {
    const { w, client } = connected();
    const retries = record(client, 'retry');
    for (let i = 0; i < 4; i += 1) {
      w.socket.end(1013);
      w.clock.advance(retries.at(-1).delayMs);
      w.socket.open();
    }
    assert.deepEqual(retries.map(({ delayMs }) => delayMs), [250, 500, 1000, 2000]);
  });

  test('after a connection of five seconds the wait is a short one again', () => {
    const { w, client } = connected();
    const retries = record(client, 'retry');
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.open();
    w.clock.advance(4_999);
    w.socket.end(1006);
    w.clock.advance(500);
    w.socket.open();
    w.clock.advance(5_000);
    w.socket.end(1006);
    assert.deepEqual(retries.map(({ delayMs }) => delayMs), [250, 500, 250]);
  });

  test('it gives up when the attempts are used up, and starts afresh when asked to', () => {
    const { w, client } = connected({ maxReconnectAttempts: 2 });
    const states = recordStates(client);
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.break();
    w.clock.advance(500);
    w.socket.break();
    assert.deepEqual(states, [
      'disconnected: connection-lost',
      'connecting: retry',
      'disconnected: connect-failed',
      'connecting: retry',
      'disconnected: connect-failed',
      'failed: attempts-exhausted',
    ]);
    assert.equal(w.clock.pending, 0);

    const retries = record(client, 'retry');
    client.connect();
    w.socket.break();
    assert.equal(client.state, State.Disconnected);
    assert.deepEqual(retries, [{ attempt: 1, delayMs: 250 }]);
  });

  test('with no attempts allowed the first loss is final', () => {
    const { w, client } = connected({ maxReconnectAttempts: 0 });
    w.socket.end(1001);
    assert.equal(client.state, State.Failed);
    assert.equal(client.reason, 'attempts-exhausted');
  });

  test('the limit can be changed on the way', () => {
    const { w, client } = connected();
    client.maxReconnectAttempts = 0;
    w.socket.end(1006);
    assert.equal(client.state, State.Failed);
  });

  test('whoever overrides attemptReconnect decides', () => {
    const { w, client } = connected();
    let asked = 0;
    client.attemptReconnect = () => (asked += 1);
    w.socket.end(1006);
    w.network.dispatchEvent(new Event('online'));
    w.clock.advance(60_000);
    assert.equal(asked, 1);
    assert.equal(w.sockets.length, 1);
    assert.equal(client.state, State.Disconnected);
  });

  test('asking for a reconnect that is planned, or not needed, changes nothing', () => {
    const { w, client } = connected();
    const { pending } = w.clock;
    client.attemptReconnect();
    assert.equal(w.clock.pending, pending);
    w.socket.end(1006);
    client.attemptReconnect();
    assert.equal(client.reconnectAttempts, 1);
    assert.equal(w.clock.pending, pending + 1);
  });

  test('an attempt that neither opens nor fails is ended after ten seconds', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    client.connect();
    w.clock.advance(9_999);
    assert.equal(client.state, State.Connecting);
    w.clock.advance(1);
    assert.equal(client.state, State.Disconnected);
    assert.equal(client.reason, 'connect-timeout');
    assert.equal(w.sockets[0].closedWith, 1000);
    w.sockets[0].open();
    assert.equal(client.state, State.Disconnected);
  });

  test('the timeout of the handshake does not touch an open connection', () => {
    const { w, client } = connected();
    w.clock.advance(3_600_000);
    assert.equal(client.state, State.Connected);
  });
});

describe('close codes', () => {
  for (const code of [1008, 3000, 3003]) {
    test(`${code} is final, and tells the text of the server`, () => {
      const { w, client } = connected();
      const changes = record(client, 'state');
      w.socket.end(code, 'Invalid token');
      w.network.dispatchEvent(new Event('online'));
      w.clock.advance(60_000);
      assert.deepEqual(changes, [
        {
          state: 'failed',
          previous: 'connected',
          reason: 'unauthorized',
          code,
          closeReason: 'Invalid token',
        },
      ]);
      assert.equal(w.sockets.length, 1);
    });
  }

  test('1008 is final for a client that has no other attempts to make either', () => {
    const { w, client } = connected({ maxReconnectAttempts: 0 });
    w.socket.end(1008);
    assert.equal(client.reason, 'unauthorized');
  });

  for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 3008, 4000]) {
    test(`after ${code} it comes back`, () => {
      const { w, client } = connected();
      w.socket.end(code);
      assert.equal(client.state, State.Disconnected);
      w.clock.advance(250);
      w.socket.open();
      assert.equal(client.state, State.Connected);
    });
  }

  test('a connection that breaks before it opens says so, with the error of the platform', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    const changes = record(client, 'state');
    client.connect();
    w.socket.break('Unexpected server response: 404');
    const { reason, code, error } = changes.at(-1);
    assert.equal(reason, 'connect-failed');
    assert.equal(code, 1006);
    assert.ok(error instanceof ClientError);
    assert.equal(error.code, 'transport');
    assert.equal(error.message, 'Unexpected server response: 404');
  });
});

describe('the network', () => {
  test('offline drops a connection that would hang', () => {
    const { w, client } = connected();
    w.network.dispatchEvent(new Event('offline'));
    assert.equal(client.state, State.Suspended);
    assert.equal(client.reason, 'offline');
    assert.equal(w.sockets[0].closedWith, 1000);
  });

  test('online tries at once, and the next wait is a short one', () => {
    const { w, client } = connected();
    const retries = record(client, 'retry');
    w.network.dispatchEvent(new Event('offline'));
    w.clock.advance(250);
    w.socket.break();
    w.clock.advance(500);
    w.socket.break();
    w.network.dispatchEvent(new Event('online'));
    assert.equal(client.state, State.Connecting);
    assert.equal(client.reason, 'online');
    w.socket.break();
    assert.equal(retries.at(-1).delayMs, 250);
  });

  test('attempts made offline do not count', () => {
    const { w, client } = connected({ maxReconnectAttempts: 1 });
    const retries = record(client, 'retry');
    w.network.dispatchEvent(new Event('offline'));
    for (let i = 0; i < 5; i += 1) {
      w.clock.advance(retries.at(-1).delayMs);
      w.socket.break();
    }
    assert.equal(w.sockets.length, 6);
    assert.equal(client.state, State.Suspended);
    assert.equal(client.reason, 'connect-failed');
    assert.equal(client.reconnectAttempts, 0);
    w.network.dispatchEvent(new Event('online'));
    w.socket.break();
    assert.equal(client.reconnectAttempts, 1);
  });

  test('a server that is reached offline, on this machine, ends being offline', () => {
    const { w, client } = connected({ maxReconnectAttempts: 0 });
    w.network.dispatchEvent(new Event('offline'));
    w.clock.advance(250);
    w.socket.open();
    assert.equal(client.state, State.Connected);
    w.socket.end(1006);
    assert.equal(client.state, State.Failed);
  });

  test('being offline is forgotten by a client that is closed meanwhile', () => {
    const { w, client } = connected({ maxReconnectAttempts: 0 });
    w.network.dispatchEvent(new Event('offline'));
    client.close();
    client.connect();
    w.socket.break();
    assert.equal(client.state, State.Failed);
  });

  test('a client that is closed or failed does not listen to the network', () => {
    let listeners = 0;
    const network = {
      addEventListener: () => (listeners += 1),
      removeEventListener: () => (listeners -= 1),
    };
    const { w, client } = connected({ network });
    assert.ok(listeners > 0);
    client.close();
    assert.equal(listeners, 0);
    client.connect();
    assert.ok(listeners > 0);
    w.socket.end(1008);
    assert.equal(listeners, 0);
    assert.equal(w.clock.pending, 0);
  });
});

describe('the address', () => {
  test('a function is asked before each attempt', () => {
    let token = 0;
    const { w } = connected({}, () => `ws://server.example/live?token=${(token += 1)}`);
    w.socket.end(1006);
    w.clock.advance(250);
    assert.deepEqual(
      w.sockets.map(({ url }) => url),
      ['ws://server.example/live?token=1', 'ws://server.example/live?token=2'],
    );
  });

  test('a promise is waited for', async () => {
    const w = world();
    const client = new Client(async () => ADDRESS, w.options);
    client.connect();
    assert.equal(client.state, State.Connecting);
    assert.equal(client.socket, null);
    await settled();
    assert.equal(w.socket.url, ADDRESS);
  });

  test('an address that comes after the client was closed is not used', async () => {
    const w = world();
    const client = new Client(async () => ADDRESS, w.options);
    client.connect();
    client.close();
    await settled();
    assert.equal(w.sockets.length, 0);
  });

  for (const [how, fail] of [
    ['gives an address', () => ADDRESS],
    ['throws', () => { throw new Error('no'); }],
    ['rejects', async () => { throw new Error('no'); }],
  ]) {
    test(`a function that closes the client and ${how} changes nothing more`, async () => {
      const w = world();
      const client = new Client(() => {
        client.close();
        return fail();
      }, w.options);
      client.connect();
      await settled();
      assert.equal(client.state, State.Closed);
      assert.equal(w.sockets.length, 0);
      assert.equal(w.clock.pending, 0);
    });
  }

  test('an address that comes too late does not open a second socket', async () => {
    const w = world();
    const answers = [];
    const client = new Client(() => new Promise((resolve) => answers.push(resolve)), w.options);
    client.connect();
    w.clock.advance(10_000);
    assert.equal(client.reason, 'connect-timeout');
    w.clock.advance(250);
    answers[0]('ws://server.example/old');
    answers[1]('ws://server.example/new');
    await settled();
    assert.deepEqual(w.sockets.map(({ url }) => url), ['ws://server.example/new']);
  });

  for (const [how, fail] of [
    ['throws', () => { throw new Error('token server is down'); }],
    ['rejects', async () => { throw new Error('token server is down'); }],
  ]) {
    test(`a function that ${how} is asked again after the wait`, async () => {
      const w = world();
      let calls = 0;
      const client = new Client(() => ((calls += 1) === 1 ? fail() : ADDRESS), w.options);
      const changes = record(client, 'state');
      client.connect();
      await settled();
      assert.equal(client.state, State.Disconnected);
      assert.equal(client.reason, 'no-address');
      assert.equal(changes.at(-1).error.message, 'token server is down');
      w.clock.advance(250);
      w.socket.open();
      assert.equal(client.state, State.Connected);
    });

    test(`a function that ${how} "unauthorized" is final`, async () => {
      const w = world();
      const error = new ClientError(ErrorCode.Unauthorized, 'session is over');
      const client = new Client(how === 'throws' ? () => { throw error; } : async () => { throw error; }, w.options);
      client.connect();
      await settled();
      assert.equal(client.state, State.Failed);
      assert.equal(client.reason, 'unauthorized');
      assert.equal(w.clock.pending, 0);
    });
  }

  for (const address of ['ftp://server.example', undefined, null, 7, {}]) {
    test(`a function that gives ${address} is final, because it is a mistake`, async () => {
      const w = world();
      const client = new Client(() => address, w.options);
      client.connect();
      await settled();
      assert.equal(client.state, State.Failed);
      assert.equal(client.reason, 'misconfigured');
    });
  }

  test('a socket that cannot be made is final', () => {
    const w = world();
    const options = {
      ...w.options,
      WebSocket: class {
        constructor() {
          throw new SyntaxError('bad subprotocol');
        }
      },
    };
    const client = new Client(ADDRESS, options);
    const changes = record(client, 'state');
    client.connect();
    assert.equal(client.reason, 'misconfigured');
    assert.equal(changes.at(-1).error.message, 'bad subprotocol');
  });

  test('an address that is wrong from the start is told at once', () => {
    assert.throws(() => new Client('ftp://server.example', world().options), {
      code: 'invalid-address',
    });
  });

  test('subprotocols are offered as given', () => {
    assert.equal(connected().w.socket.protocols, undefined);
    assert.deepEqual(connected({ protocols: 'a' }).w.socket.protocols, ['a']);
    assert.deepEqual(connected({ protocols: ['a', 'b'] }).w.socket.protocols, ['a', 'b']);
  });
});

describe('messages', () => {
  test('one arrives as `message` first, then by its type', () => {
    const { w, client } = connected();
    const calls = [];
    client.on('greeting', (message) => calls.push(['greeting', message]));
    client.on('message', (message) => calls.push(['message', message]));
    client.on('other', (message) => calls.push(['other', message]));
    const message = { type: 'greeting', text: 'hello' };
    w.socket.receive(message);
    assert.deepEqual(calls, [['message', message], ['greeting', message]]);
  });

  for (const type of ['state', 'retry', 'fault']) {
    test(`the server cannot forge the event ${type}`, () => {
      const { w, client } = connected();
      const events = record(client, type);
      const messages = record(client, 'message');
      w.socket.receive({ type });
      assert.deepEqual(events, []);
      assert.deepEqual(messages, [{ type }]);
    });
  }

  test('a message of type `message` arrives once', () => {
    const { w, client } = connected();
    const messages = record(client, 'message');
    w.socket.receive({ type: 'message' });
    assert.deepEqual(messages, [{ type: 'message' }]);
  });

  for (const message of [{}, { type: 7 }, { type: null }, { text: 'no type' }]) {
    test(`${JSON.stringify(message)}, without a usable type, arrives as \`message\``, () => {
      const { w, client } = connected();
      const messages = record(client, 'message');
      w.socket.receive(message);
      assert.deepEqual(messages, [message]);
    });
  }

  for (const data of ['Welcome to the chat!', '', '{', 'null', '7', '"text"', '[]', new ArrayBuffer(1)]) {
    test(`${JSON.stringify(data)}, no JSON object, is a fault, and the connection stays`, () => {
      const { w, client } = connected();
      const messages = record(client, 'message');
      const faults = record(client, 'fault');
      w.socket.receiveRaw(data);
      assert.deepEqual(messages, []);
      assert.deepEqual(faults.map(({ code }) => code), ['invalid-message']);
      assert.equal(client.state, State.Connected);
    });
  }

  test('a listener that closes the client hears nothing more, not even of the same message', () => {
    const { w, client } = connected();
    const greetings = record(client, 'greeting');
    client.on('message', () => client.close());
    w.socket.receive({ type: 'greeting' });
    assert.deepEqual(greetings, []);
  });

  test('sending works while connected, and says so', () => {
    const { w, client } = connected();
    assert.equal(client.send({ type: 'chat', text: 'é' }), true);
    assert.deepEqual(w.socket.sent, [{ type: 'chat', text: 'é' }]);
  });

  test('nothing goes out, and nothing is kept, while not connected', () => {
    const w = world();
    const client = new Client(ADDRESS, w.options);
    assert.equal(client.send({ n: 1 }), false);
    client.connect();
    assert.equal(client.send({ n: 2 }), false);
    w.socket.open();
    w.socket.end(1006);
    assert.equal(client.send({ n: 3 }), false);
    w.clock.advance(250);
    w.socket.open();
    client.close();
    assert.equal(client.send({ n: 4 }), false);
    assert.deepEqual(w.sockets.map(({ sent }) => sent), [[], []]);
  });

  test('nothing goes out on a socket that is already closing', () => {
    const { w, client } = connected();
    w.socket.readyState = 2;
    assert.equal(client.send({ n: 1 }), false);
  });
});

for (const options of [
  { maxReconnectAttempts: -1 },
  { maxReconnectAttempts: NaN },
  { connectTimeoutMs: 0 },
  { minUptimeMs: -1 },
  { backoff: { minMs: 0 } },
]) {
  test(`the options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(() => new Client(ADDRESS, { ...world().options, ...options }), {
      code: 'invalid-option',
    });
  });
}
