import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ClientError, LiveClient } from '../src/index.js';
import { expiryOf, refreshDelay } from '../src/token.js';
import { record, recordStates, settled, world } from './kit/world.js';

/** A token with claims, unsigned: the client does not judge it. */
const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

test('a token tells when it expires, also with letters that only URLs have', () => {
  assert.equal(expiryOf(jwt({ exp: 1_800_000_000 })), 1_800_000_000_000);
  assert.equal(expiryOf(jwt({ email: 'ÿþ?>~~', exp: 7 })), 7_000);
});

for (const token of [jwt({}), 'no-jwt', 'a.b.c', '', null, undefined, 'e30.e30']) {
  test(`${JSON.stringify(token)} does not tell when it expires`, () => {
    assert.ok(Number.isNaN(expiryOf(token)));
  });
}

test('a token is replaced in its last minute, a short one in its last fifth', () => {
  assert.equal(refreshDelay(3_600_000), 3_540_000);
  assert.equal(refreshDelay(100_000), 80_000);
  assert.equal(refreshDelay(-5), 10_000);
});

describe('a token function', () => {
  /** A connected client whose tokens live for so many seconds, and whose server answers. */
  async function connected(next, seconds = 600, options = {}) {
    const w = world();
    w.server.answersPings = true;
    const made = [];
    const token = () => {
      const result = made.length === 0 ? undefined : next?.(made.length);
      made.push(result ?? jwt({ n: made.length, exp: w.clock.now() / 1000 + seconds }));
      return made.at(-1);
    };
    const live = new LiveClient(token, { ...w.options, ...options });
    live.subscribe('posts');
    live.connect();
    w.socket.open();
    const { id } = w.socket.sent[0];
    w.socket.receive({ type: 'subscribed', channel: 'posts', id, epoch: 'e', offset: 0 });
    return { w, live, made };
  }

  const refreshes = (w) => w.socket.sent.filter(({ type }) => type === 'refresh');

  test('is asked before the token expires, and the connection goes on with the new one', async () => {
    const { w, live, made } = await connected();
    w.clock.advance(539_999);
    await settled();
    assert.equal(made.length, 1);
    w.clock.advance(1);
    await settled();
    const [{ id, token }] = refreshes(w);
    assert.equal(token, made[1]);
    const expiresAt = new Date(w.clock.now() + 600_000).toISOString();
    w.socket.receive({ type: 'refreshed', id, expiresAt });
    await settled();
    w.clock.advance(540_000);
    await settled();
    assert.equal(refreshes(w).length, 2);
    assert.equal(live.state, 'connected');
    assert.equal(w.sockets.length, 1);
  });

  test('that gets tickets is not asked while connected', async () => {
    const { w, live, made } = await connected(undefined, 30, { tokenIn: 'ticket' });
    w.clock.advance(600_000);
    await settled();
    assert.equal(made.length, 1);
    assert.deepEqual(refreshes(w), []);
    assert.equal(live.state, 'connected');
  });

  test('that fails is asked again, as long as there is time', async () => {
    let fails = 2;
    const { w, live } = await connected(() => {
      if (fails-- > 0) throw new Error('token server is down');
    });
    w.clock.advance(540_000);
    await settled();
    assert.equal(refreshes(w).length, 0);
    for (let i = 0; i < 2; i += 1) {
      w.clock.advance(48_000);
      await settled();
    }
    assert.equal(refreshes(w).length, 1);
    assert.equal(live.state, 'connected');
  });

  test('that throws nothing at all is asked again too', async () => {
    const { w, live, made } = await connected((n) => {
      if (n === 1) made.push('failed');
      if (n === 1) throw undefined;
    });
    w.clock.advance(540_000);
    await settled();
    w.clock.advance(48_000);
    await settled();
    assert.equal(refreshes(w).length, 1);
    assert.equal(live.state, 'connected');
  });

  test('that has none any more ends the client: log in again', async () => {
    const { w, live } = await connected(() => {
      throw new ClientError('unauthorized', 'the session is over');
    });
    w.clock.advance(540_000);
    await settled();
    assert.equal(live.state, 'failed');
    assert.equal(live.reason, 'unauthorized');
    assert.equal(w.clock.pending, 0);
  });

  test('whose token the server refuses on an open connection is asked again, and the connection goes on', async () => {
    const { w, live, made } = await connected();
    w.clock.advance(540_000);
    await settled();
    w.socket.receive({ type: 'error', id: refreshes(w)[0].id, code: 'invalid-token', message: 'Invalid token' });
    await settled();
    assert.equal(live.state, 'connected');
    w.clock.advance(48_000);
    await settled();
    assert.equal(refreshes(w)[1].token, made[2]);
    const expiresAt = new Date(w.clock.date() + 600_000).toISOString();
    w.socket.receive({ type: 'refreshed', id: refreshes(w)[1].id, expiresAt });
    await settled();
    w.clock.advance(539_000);
    await settled();
    assert.equal(live.state, 'connected');
    assert.equal(refreshes(w).length, 2);
  });

  test('whose token is refused without a code goes on until the server ends the connection', async () => {
    const { w, live, made } = await connected();
    w.clock.advance(540_000);
    await settled();
    w.socket.receive({ type: 'error', id: refreshes(w)[0].id, message: 'Invalid token' });
    await settled();
    assert.equal(live.state, 'connected');
    w.socket.end(1008, 'Token expired');
    w.clock.advance(500);
    assert.equal(made.length, 3);
    assert.equal(live.state, 'connecting');
  });

  test('whose token a server cannot take on an open connection is asked for the next one', async () => {
    const { w, live, made } = await connected();
    w.clock.advance(540_000);
    await settled();
    w.socket.receive({ type: 'error', id: refreshes(w)[0].id, code: 'unknown-type', message: 'Unknown message type' });
    await settled();
    w.clock.advance(60_000);
    await settled();
    assert.equal(live.state, 'connected');
    assert.equal(made.length, 2);
    w.socket.end(1008, 'Token expired');
    w.clock.advance(500);
    assert.equal(made.length, 3);
    assert.equal(live.state, 'connecting');
  });

  test('is not asked by a connection that ended', async () => {
    const { w, live, made } = await connected();
    live.close();
    w.clock.advance(600_000);
    await settled();
    assert.equal(made.length, 1);
  });

  test('is not asked for a server that does not answer requests', async () => {
    const w = world();
    let asked = 0;
    const live = new LiveClient(() => {
      asked += 1;
      return jwt({ exp: w.clock.now() / 1000 + 600 });
    }, w.options);
    live.subscribe('posts');
    live.connect();
    w.socket.open();
    w.socket.receive({ type: 'subscribed', channel: 'posts' });
    w.clock.advance(600_000);
    await settled();
    assert.equal(asked, 1);
  });

  test('gets one more chance after a refusal (1008), and not two in a row', async () => {
    const w = world();
    const live = new LiveClient(() => jwt({ n: w.sockets.length }), w.options);
    const states = recordStates(live);
    live.connect();
    for (let i = 0; i < 2; i += 1) {
      w.socket.open();
      w.socket.receive({ type: 'error', code: 'invalid-token', message: 'Invalid token' });
      w.socket.end(1008, 'Invalid token');
      w.clock.advance(250);
    }
    assert.deepEqual(states, [
      'connecting: connect',
      'connected: opened',
      'disconnected: token-refused',
      'connecting: retry',
      'connected: opened',
      'failed: unauthorized',
    ]);
  });

  test('gets one more chance after a refusal that follows an expiry, and not two', async () => {
    const { w, live, made } = await connected();
    const states = recordStates(live);
    w.clock.advance(60_000);
    w.socket.end(1008, 'Token expired');
    w.clock.advance(250);
    assert.equal(made.length, 2);
    w.socket.open();
    w.socket.end(1008, 'Invalid token');
    w.clock.advance(500);
    w.socket.open();
    w.socket.end(1008, 'Invalid token');
    assert.deepEqual(states, [
      'disconnected: token-refused',
      'connecting: retry',
      'connected: opened',
      'disconnected: token-refused',
      'connecting: retry',
      'connected: opened',
      'failed: unauthorized',
    ]);
  });

  test('that works is asked at each expiry, however many there are in a row', async () => {
    // Tokens of eight seconds, at an endpoint where they cannot be replaced.
    const { w, live, made } = await connected(undefined, 8);
    for (let i = 0; i < 10; i += 1) {
      w.clock.advance(8_000);
      await settled();
      w.socket.end(1008, 'Token expired');
      w.clock.advance(250);
      await settled();
      w.socket.open();
      assert.equal(live.state, 'connected', `after the expiry no. ${i + 1}`);
    }
    assert.ok(made.length > 10);
  });

  test('is asked after each disconnect by an operator, also at once after the one before', async () => {
    const { w, live } = await connected();
    const retries = record(live, 'retry');
    for (let i = 0; i < 5; i += 1) {
      w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
      w.socket.receive({ type: 'error', code: 'disconnected', message: 'Disconnected' });
      w.socket.end(1008, 'Disconnected');
      w.clock.advance(retries.at(-1).delayMs);
      await settled();
      w.socket.open();
      assert.equal(live.state, 'connected');
    }
  });

  test('is asked after each end that shows that its token was accepted, also before anything else came', async () => {
    const w = world();
    const live = new LiveClient(() => jwt({ n: w.sockets.length }), w.options);
    const retries = record(live, 'retry');
    live.connect();
    for (const code of ['disconnected', 'token-expired', 'disconnected', 'token-expired']) {
      w.socket.open();
      w.socket.receive({ type: 'error', code, message: 'Gone' });
      w.socket.end(1008, 'Gone');
      assert.equal(live.reason, 'token-refused');
      w.clock.advance(retries.at(-1).delayMs);
    }
  });

  for (const [how, sleep] of [
    ['and its clocks go on', (clock) => clock.sleep(600_000)],
    ['and one of its clocks stands still', (clock) => clock.doze(600_000)],
  ]) {
    test(`is asked again for a machine that slept during its handshakes, ${how}`, () => {
      const w = world();
      const live = new LiveClient(() => jwt({ n: w.sockets.length }), w.options);
      live.connect();
      for (let i = 0; i < 4; i += 1) {
        sleep(w.clock);
        w.socket.open();
        w.socket.end(1008, 'Invalid token');
        assert.equal(live.reason, 'token-refused');
        live.connect();
      }
    });
  }

  test('that was replaced while it was asked is not used', async () => {
    const w = world();
    const live = new LiveClient(async () => 'old', w.options);
    live.connect();
    live.token = async () => 'new';
    await settled();
    assert.deepEqual(w.sockets.map(({ url }) => new URL(url).searchParams.get('token')), ['new']);
  });

  test('that has only the token with which the server ends each connection at once ends the client', async () => {
    const w = world();
    const live = new LiveClient(() => 'stale', w.options);
    live.subscribe('posts');
    live.connect();
    const retries = record(live, 'retry');
    let ends = 0;
    for (; live.state !== 'failed'; ends += 1) {
      w.socket.open();
      w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
      w.socket.end(1008, 'Token expired');
      w.clock.advance(retries.at(-1).delayMs);
    }
    assert.equal(ends, 3);
    assert.equal(live.reason, 'unauthorized');
  });

  for (const minutes of [-2, 2]) {
    for (const told of [true, false]) {
      test(`is asked in time where the clock is ${minutes} minutes off, and the server ${told ? 'tells its time' : 'does not'}`, async () => {
        const w = world();
        w.server.answersPings = true;
        const serverTime = () => w.clock.now();
        w.clock.adjust(minutes * 60_000);
        const token = () => {
          const iat = serverTime() / 1000;
          return jwt(told ? { exp: iat + 600 } : { iat, exp: iat + 600 });
        };
        const live = new LiveClient(async () => token(), w.options);
        live.subscribe('posts');
        live.connect();
        await settled();
        w.socket.open();
        w.socket.receive({ type: 'subscribed', channel: 'posts', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
        if (told) {
          const time = new Date(serverTime()).toISOString();
          w.socket.receive({ type: 'hello', id: w.socket.hellos[0].id, time });
        }
        let asked = 0;
        for (let second = 0; second < 599; second += 1) {
          w.clock.advance(1_000);
          await settled();
          if (asked === 0 && refreshes(w).length > 0) asked = second + 1;
        }
        // Too early does no harm.
        assert.ok(asked > 0 && asked <= 540, `after ${asked} s`);
        assert.ok(told || minutes > 0 ? true : asked === 540, `after ${asked} s`);
        if (told) assert.equal(asked, 540);
      });
    }
  }

  test('gets another chance after a connection that lasted', async () => {
    const { w, live } = await connected();
    for (let i = 0; i < 3; i += 1) {
      w.clock.advance(60_000);
      w.socket.end(1008, 'Token expired');
      w.clock.advance(500);
      w.socket.open();
      assert.equal(live.state, 'connected');
      w.clock.advance(5_000);
      w.socket.end(1006);
      w.clock.advance(500);
      w.socket.open();
    }
  });
});

test('a fixed token is not replaced, and its refusal is final', async () => {
  const w = world();
  const live = new LiveClient(jwt({ exp: w.clock.now() / 1000 + 100 }), { ...w.options, greet: false });
  live.connect();
  w.socket.open();
  w.clock.advance(200_000);
  assert.deepEqual(w.socket.sent, []);
  w.socket.end(1008);
  assert.equal(live.state, 'failed');
});
