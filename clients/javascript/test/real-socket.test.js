import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';

import WebSocket, { WebSocketServer } from 'ws';

import { ChatClient, Client, State } from '../src/index.js';

// The client on real sockets, against the independent server of the package `ws`.

/** @type {WebSocketServer} */
let server;
let port;
/** @type {Client[]} */
let clients;

beforeEach(async () => {
  clients = [];
  await listen(0);
});

afterEach(async () => {
  for (const client of clients) client.close();
  await stop();
});

async function listen(onPort) {
  server = new WebSocketServer({ host: '127.0.0.1', port: onPort });
  await once(server, 'listening');
  port = server.address().port;
}

async function stop() {
  for (const socket of server.clients) socket.close(1012);
  await new Promise((resolve) => server.close(resolve));
}

function start(client) {
  clients.push(client);
  client.connect();
  return client;
}

const reaches = (client, wanted) =>
  new Promise((resolve) => {
    const off = client.on('state', (change) => {
      if (change.state === wanted) {
        off();
        resolve(change);
      }
    });
  });

const next = (client, type) =>
  new Promise((resolve) => {
    const off = client.on(type, (event) => {
      off();
      resolve(event);
    });
  });

const address = () => `ws://127.0.0.1:${port}`;
const fast = { WebSocket, backoff: { minMs: 1, maxMs: 20 } };

test('a chat client talks to its room', async () => {
  const request = new Promise((resolve) => {
    server.on('connection', (socket, { url }) => {
      socket.on('message', (data) => {
        const { text } = JSON.parse(data);
        const user = { id: 1, email: 'ada@example.org' };
        socket.send(JSON.stringify({ type: 'chat-message', id: 1, text, user, timestamp: '' }));
      });
      resolve(url);
    });
  });
  const chat = new ChatClient('lobby', 'jwt', { ...fast, server: address() });
  const displayed = new Promise((resolve) => (chat.displayMessage = resolve));
  chat.on('state', ({ state }) => state === State.Connected && chat.sendMessage('é'));
  start(chat);
  assert.equal((await displayed).text, 'é');
  assert.equal(await request, '/chat/lobby?token=jwt');
});

test('it comes back to a server that restarted', async () => {
  const client = start(new Client(`${address()}/live`, fast));
  await reaches(client, State.Connected);
  const lost = reaches(client, State.Disconnected);
  await stop();
  assert.equal((await lost).reason, 'server-restart');
  assert.equal((await lost).code, 1012);
  await next(client, 'retry');
  const back = reaches(client, State.Connected);
  await listen(port);
  assert.equal((await back).previous, State.Connecting);
});

test('a connection cut without a close frame is noticed, and made again', async () => {
  const client = start(new Client(address(), fast));
  await reaches(client, State.Connected);
  const lost = reaches(client, State.Disconnected);
  for (const socket of server.clients) socket.terminate();
  assert.equal((await lost).code, 1006);
  assert.equal((await lost).reason, 'connection-lost');
  await reaches(client, State.Connected);
});

test('a refused token is final', async () => {
  server.on('connection', (socket) => {
    socket.send(JSON.stringify({ type: 'error', code: 'invalid-token', message: 'Invalid token' }));
    socket.close(1008, 'Invalid token');
  });
  const client = new Client(address(), fast);
  const error = next(client, 'error');
  const failed = reaches(client, State.Failed);
  start(client);
  assert.deepEqual(await error, { type: 'error', code: 'invalid-token', message: 'Invalid token' });
  assert.deepEqual(await failed, {
    state: 'failed',
    previous: 'connected',
    reason: 'unauthorized',
    code: 1008,
    closeReason: 'Invalid token',
  });
});

test('a server that is not there is an error of the transport', async () => {
  await stop();
  const client = new Client(address(), { ...fast, maxReconnectAttempts: 0 });
  const lost = reaches(client, State.Disconnected);
  start(client);
  const { reason, error } = await lost;
  assert.equal(reason, 'connect-failed');
  assert.equal(error.code, 'transport');
  assert.match(error.message, /ECONNREFUSED/);
  assert.equal(client.state, State.Failed);
});

test('closing in the middle of a handshake raises no error', async () => {
  const client = start(new Client(address(), fast));
  const { socket } = client;
  client.close();
  await new Promise((resolve) => socket.addEventListener('close', resolve));
  assert.equal(client.state, State.Closed);
});

test('close ends the connection with 1000', async () => {
  const code = new Promise((resolve) => {
    server.on('connection', (socket) => socket.on('close', resolve));
  });
  const client = start(new Client(address(), fast));
  await reaches(client, State.Connected);
  client.close();
  assert.equal(await code, 1000);
});
