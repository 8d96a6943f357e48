import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';

import WebSocket from 'ws';

import { ChatClient, Client, LiveClient } from '../src/index.js';
import { refusalOf } from '../src/handshake.js';
import { record, recordStates, settled, world } from './kit/world.js';

/** A client whose handshakes fail, and a server that says over HTTP why. */
function refused(answer, make = (options) => new Client('wss://server.example/live?token=t', options)) {
  const w = world();
  const asked = [];
  const fetch = async (url, { signal }) => {
    asked.push(url);
    assert.equal(signal.aborted, false);
    if (answer instanceof Error) throw answer;
    const { status = 200, body = '', headers = {} } = answer;
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
  };
  const client = make({ ...w.options, fetch });
  const states = recordStates(client);
  const changes = record(client, 'state');
  const retries = record(client, 'retry');
  const fail = async () => {
    w.socket.break();
    await settled();
  };
  client.connect();
  return { w, client, asked, states, changes, retries, fail };
}

const body = (code, more) => ({ type: 'error', code, message: 'No', ...more });

describe('a handshake that the server refuses', () => {
  for (const [status, code] of [[403, 'forbidden'], [403, 'origin-refused'], [400, 'invalid-name'], [404, 'not-found']]) {
    test(`for good (${status} ${code}) ends the client, which says why`, async () => {
      const r = refused({ status, body: body(code) });
      await r.fail();
      assert.deepEqual(r.asked, ['https://server.example/live?token=t']);
      assert.deepEqual(r.states.slice(-2), ['disconnected: connect-failed', 'failed: refused']);
      const { error } = r.changes.at(-1);
      assert.deepEqual([error.code, error.refusal], ['refused', code]);
      assert.equal(r.w.clock.pending, 0);
    });
  }

  for (const [what, answer, ms] of [
    ['429 with a time in the body', { status: 429, body: body('rate-limited', { retryAfterMs: 7_000 }) }, 7_000],
    ['429 with a time in the header', { status: 429, body: body('rate-limited'), headers: { 'retry-after': '9' } }, 9_000],
    ['503 of a proxy', { status: 503, body: '<h1>no</h1>', headers: { 'retry-after': '3' } }, 3_000],
  ]) {
    test(`until later (${what}) is tried again in that time, and does not use up attempts`, async () => {
      const r = refused(answer, (options) => new Client('ws://server.example/live', { ...options, maxReconnectAttempts: 1 }));
      for (let i = 0; i < 5; i += 1) {
        await r.fail();
        assert.equal(r.client.state, 'disconnected');
        assert.equal(r.client.reason, 'refused');
        assert.equal(r.retries.at(-1).delayMs, ms);
        r.w.clock.advance(ms - 1);
        assert.equal(r.w.sockets.length, i + 1);
        r.w.clock.advance(1);
        assert.equal(r.w.sockets.length, i + 2);
      }
    });
  }

  for (const [what, answer] of [
    ['401', { status: 401, body: '' }],
    ['a code', { status: 400, body: body('token-expired') }],
  ]) {
    test(`for its token (${what}) is final, or a second chance for a token function`, async () => {
      const fixed = refused(answer);
      await fixed.fail();
      assert.deepEqual(fixed.states.at(-1), 'failed: unauthorized');

      let n = 0;
      const r = refused(answer, (options) => new LiveClient(() => `t${(n += 1)}`, options));
      await r.fail();
      assert.deepEqual(r.states.at(-1), 'disconnected: token-refused');
      r.w.clock.advance(250);
      assert.equal(n, 2);
      await r.fail();
      assert.deepEqual(r.states.at(-1), 'failed: unauthorized');
    });
  }

  for (const [what, answer] of [
    ['a server that wants an upgrade', { status: 426, body: body('invalid-format') }],
    ['too many connections', { status: 429, body: body('too-many-connections') }],
    ['a code of a later version', { status: 400, body: body('brand-new') }],
    ['no code', { status: 403, body: { type: 'error', message: 'Origin not allowed' } }],
    ['a page of a proxy', { status: 404, body: '<h1>no</h1>' }],
    ['a page', { status: 200, body: '<h1>hello</h1>' }],
    ['nobody', new TypeError('Failed to fetch')],
  ]) {
    test(`as far as one can see, by ${what}, is tried again as after a bad line`, async () => {
      const r = refused(answer);
      await r.fail();
      assert.equal(r.client.state, 'disconnected');
      r.w.clock.advance(250);
      r.w.socket.open();
      assert.equal(r.client.state, 'connected');
    });
  }

  test('is asked about ever less often', async () => {
    const r = refused(new TypeError('Failed to fetch'));
    for (let i = 0; i < 16; i += 1) {
      await r.fail();
      r.w.clock.advance(r.retries.at(-1).delayMs);
    }
    assert.equal(r.asked.length, 5);
  });

  test('is not asked about by a client that was closed meanwhile, or that is connected', async () => {
    for (const then of [(r) => r.client.close(), (r) => (r.client.connect(), r.w.socket.open())]) {
      const r = refused({ status: 403, body: body('forbidden') });
      r.w.socket.break();
      then(r);
      await settled();
      assert.notEqual(r.client.state, 'failed');
    }
  });

  test('is told from one that broke later', async () => {
    const r = refused({ status: 403, body: body('forbidden') });
    r.w.socket.open();
    await r.fail();
    assert.deepEqual(r.asked, []);
    assert.equal(r.client.reason, 'connection-lost');
  });
});

test('a real server is asked with the platform’s own means', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(body('forbidden')));
  });
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const client = new Client(`ws://127.0.0.1:${server.address().port}/live`, { WebSocket });
  const failed = new Promise((resolve) => client.on('state', (change) => change.state === 'failed' && resolve(change)));
  client.connect();
  assert.equal((await failed).error.refusal, 'forbidden');
});

test('what cannot be read is no refusal', async () => {
  const { signal } = new AbortController();
  for (const text of ['', 'null', '[]', '{']) {
    assert.equal(await refusalOf(async () => new Response(text, { status: 400 }), 'ws://x/', signal), null);
  }
});

describe('a chat client without a server', () => {
  /** When the attempts of a client come that was lost, in milliseconds after that. */
  async function attempts(random, options = {}) {
    const w = world();
    const chat = new ChatClient('hall', 'jwt', { ...w.options, random, ...options });
    chat.handleMessage = () => {};
    chat.connect();
    w.socket.open();
    w.clock.advance(10_000);
    const lost = w.clock.now();
    w.socket.end(1006);
    const times = [];
    while (chat.state !== 'failed') {
      const { length } = w.sockets;
      w.clock.advance(10);
      if (w.sockets.length === length) continue;
      times.push(w.clock.now() - lost);
      w.socket.break();
    }
    return times;
  }

  for (const random of [0, 0.5, 0.999]) {
    test(`tries five times, soon at first, and through twenty seconds (luck ${random})`, async () => {
      const times = await attempts(() => random);
      assert.equal(times.length, 5);
      assert.ok(times[0] <= 600, `first after ${times[0]}`);
      assert.ok(times[4] >= 20_000 && times[4] <= 45_000, `last after ${times[4]}`);
    });
  }

  test('is not given up early by a user who looks again and again', () => {
    const w = world();
    const chat = new ChatClient('hall', 'jwt', w.options);
    chat.handleMessage = () => {};
    chat.connect();
    w.socket.open();
    w.socket.end(1006);
    for (let i = 0; i < 40; i += 1) {
      w.clock.advance(400);
      w.show(false);
      w.show(true);
      if (chat.state === 'connecting') w.socket.break();
    }
    assert.notEqual(chat.state, 'failed');
  });

  test('comes back to a server that said when, was not back then, and is after twenty seconds', () => {
    const w = world();
    const chat = new ChatClient('hall', 'jwt', { ...w.options, random: () => 0 });
    chat.handleMessage = () => {};
    chat.connect();
    w.socket.open();
    w.clock.advance(10_000);
    w.socket.receive({ type: 'reconnect', afterMs: 4_000 });
    w.socket.end(1012);
    assert.equal(chat.reconnectAttempts, 0);
    for (let ms = 0; ms < 20_000; ms += 100) {
      w.clock.advance(100);
      if (chat.state === 'connecting') w.socket.break();
    }
    assert.equal(chat.state, 'disconnected');
    for (let ms = 0; ms < 20_000 && chat.state !== 'connecting'; ms += 100) w.clock.advance(100);
    w.socket.open();
    assert.equal(chat.state, 'connected');
  });

  test('gives up at once where no attempt is wanted, and by number alone where that is wanted', async () => {
    assert.deepEqual(await attempts(() => 0, { maxReconnectAttempts: 0 }), []);
    assert.ok((await attempts(() => 0.5, { patienceMs: 0 })).at(-1) < 10_000);
  });
});
