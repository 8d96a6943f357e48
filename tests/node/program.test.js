// The program as its operator sees it: how it starts, what it refuses, how it ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { within } from '../support/patience.js';
import { Program, built } from '../support/program.js';
import { Server } from '../support/server.js';
import { Socket, positioned } from '../support/socket.js';
import { SECRET, token } from '../support/token.js';

/**
 * Starts the program, which must end by itself; what it said on standard error.
 *
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
async function refusal(args, env) {
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const program = new Program(built('nextrush'), [...listen, ...args], env);
  const { code } = await within(program.exited, 'the program to refuse');
  assert.notEqual(code, 0);
  assert.equal(program.stdout, '');
  return program.stderr;
}

test('without a secret it refuses to start and says what to do', async () => {
  for (const env of [{}, { JWT_SECRET: '' }]) {
    const message = await refusal([], env);
    assert.match(message, /JWT_SECRET/);
    assert.match(message, /--dev/);
    assert.doesNotMatch(message, /panicked/);
  }
});

test('development mode is refused on an address that others can reach', async () => {
  for (const address of ['0.0.0.0:0', '[::]:0']) {
    const message = await refusal(['--dev', '--listen', address]);
    assert.match(message, /loopback/);
    assert.ok(message.includes(address), message);
  }
});

test('a port that is taken is a clear error', async () => {
  const server = await Server.start();
  try {
    const message = await refusal(['--listen', server.host], { JWT_SECRET: SECRET });
    assert.ok(message.includes(server.host), message);
    assert.doesNotMatch(message, /panicked/);
  } finally {
    await server.stop();
  }
});

test('in development mode it says so and mints tokens that work', async () => {
  const server = await Server.startDevelopment();
  try {
    assert.match(server.program.stdout, /DEVELOPMENT MODE/);
    const { body: status } = await server.request('GET', '/api/dev');
    assert.deepEqual(status, { development: true });

    const minted = await server.request('POST', '/api/dev/token', { body: { name: ' Ada  Lovelace ' } });
    assert.equal(minted.status, 201);
    const user = { id: 'ada-lovelace', email: 'ada-lovelace@localhost' };
    assert.deepEqual(minted.body, { token: minted.body.token, user });
    const socket = await Socket.connect(server.ws(`/chat/den?token=${minted.body.token}`));
    const { rest, position } = positioned(await socket.json());
    assert.deepEqual(rest, { type: 'room-history', messages: [], users: [user] });
    assert.equal(position.offset, 0);
    await socket.close();

    for (const name of ['', '   ', 'x'.repeat(41), 'line\nbreak', 7]) {
      const { status, body } = await server.request('POST', '/api/dev/token', { body: { name } });
      assert.ok(status === 400 || status === 422, `${JSON.stringify(name)}: ${status}`);
      assert.equal(body.type, 'error');
    }
  } finally {
    await server.stop();
  }
});

test('with a secret nobody is given a token', async () => {
  const server = await Server.start();
  try {
    assert.doesNotMatch(server.program.stdout, /DEVELOPMENT/);
    for (const [method, path] of [['GET', '/api/dev'], ['POST', '/api/dev/token']]) {
      const response = await fetch(server.http(path), { method });
      assert.equal(response.status, 404, path);
    }
  } finally {
    await server.stop();
  }
});

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGQUIT'])) {
  test(`${signal} sends every client away with 1012 and ends the program with success`, async () => {
    const server = await Server.start();
    const sockets = await Promise.all([
      Socket.connect(server.ws('/chat')),
      Socket.connect(server.as('/chat/den', 'ada')),
      Socket.connect(server.as('/live', 'ada')),
      Socket.connect(server.ws('/robust-chat/den')),
    ]);
    // A sign of life from each, so that what comes next is the end.
    sockets[2].send({ type: 'subscribe', channel: 'posts' });
    sockets[3].send('{}');
    for (const socket of sockets) await socket.text();
    const ended = server.stop(signal);
    for (const socket of sockets.slice(1, 3)) {
      const last = /** @type {any} */ (await socket.json());
      assert.equal(last.type, 'reconnect');
      assert.ok(last.afterMs >= 0 && last.afterMs < 5000);
    }
    for (const socket of sockets) {
      const { code, reason } = await socket.closed();
      assert.equal(code, 1012);
      assert.match(reason, /^reconnect after [0-9]+ ms$/);
    }
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.doesNotMatch(server.program.stderr, /ERROR|panicked/);
  });
}

test('a token in an address gets into no log', async () => {
  const server = await Server.start({ env: { RUST_LOG: 'trace' } });
  const good = token('ada');
  try {
    const socket = await Socket.connect(server.ws(`/chat/den?token=${good}`));
    await socket.json();
    const refused = await Socket.connect(server.ws(`/chat/den?token=${good}x`));
    await refused.json();
    await server.request('GET', '/api/posts', { token: good });
  } finally {
    await server.stop();
  }
  assert.notEqual(server.program.stderr, '');
  const signature = /** @type {string} */ (good.split('.').at(-1));
  assert.ok(!server.program.stderr.includes(signature), 'the log holds a token');
});
