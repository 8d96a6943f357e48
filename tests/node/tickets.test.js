// docs/guide/src/authentication.md, "Tickets", "A token in a cookie", "A token in the first message" and "Revoking tokens", with the project's own client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { LiveClient } from '../../clients/javascript/src/index.js';
import { Inbox } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { seconds, sign, token, user } from '../support/token.js';

const API_KEY = 'an API key of tests, thirty-two bytes and more';

/** @type {Server} */
let server;
before(async () => {
  server = await Server.start({ args: ['--token-cookie', 'jwt', '--token-message'], env: { NEXTRUSH_API_KEY: API_KEY } });
});
after(() => server.stop());

/**
 * @param {string} path
 * @param {unknown} body
 */
async function post(path, body) {
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
  const response = await fetch(server.http(path), { method: 'POST', headers, body: JSON.stringify(body) });
  assert.equal(response.status, 200);
  return response.json();
}

/** @param {string} id */
const ticketOf = async (id) => (await post('/api/v1/ticket', { user: user(id) })).ticket;

test('a client that gets tickets comes back with another one after its connection broke', async () => {
  let asked = 0;
  const source = async () => {
    asked++;
    return ticketOf('tess');
  };
  const options = { server: server.ws(''), WebSocket, backoff: { minMs: 10, maxMs: 100 } };
  const live = new LiveClient(source, { ...options, tokenIn: 'ticket' });
  const subscribed = new Inbox();
  const updates = new Inbox();
  const posts = live.subscribe('tickets');
  posts.on('state', (state) => state === 'subscribed' && subscribed.put(asked));
  posts.on('update', ({ data }) => updates.put(data));
  live.connect();
  for (const round of [1, 2]) {
    assert.equal(await subscribed.take('a subscription'), round);
    await post('/api/v1/publish', { channel: 'tickets', data: round });
    assert.equal(await updates.take('an update'), round);
    if (round === 1) await post('/api/v1/disconnect', { userId: 'tess' });
  }
  live.close();
});

test('a client whose token is its first message sends it again with each connection', async () => {
  const live = new LiveClient(token('mia'), {
    server: server.ws(''),
    WebSocket,
    backoff: { minMs: 10, maxMs: 100 },
    tokenIn: 'message',
  });
  const subscribed = new Inbox();
  const updates = new Inbox();
  const posts = live.subscribe('messages');
  posts.on('state', (state) => state === 'subscribed' && subscribed.put(state));
  posts.on('update', ({ data }) => updates.put(data));
  live.connect();
  for (const round of [1, 2]) {
    await subscribed.take('a subscription');
    const socket = /** @type {WebSocket} */ (live.socket);
    assert.match(socket.url, /\/live\?auth=message$/);
    await post('/api/v1/publish', { channel: 'messages', data: round });
    assert.equal(await updates.take('an update'), round);
    if (round === 1) socket.terminate();
  }
  live.close();

  const bad = new LiveClient('of.no.body', { server: server.ws(''), WebSocket, tokenIn: 'message' });
  const ends = new Inbox();
  bad.on('state', ({ state, reason, closeReason }) => state === 'failed' && ends.put([reason, closeReason]));
  bad.connect();
  assert.deepEqual(await ends.take('an end'), ['unauthorized', 'Invalid token']);
});

test('a ticket is good for one socket', async () => {
  const address = `${server.ws('/private-chat/tickets')}?ticket=${await ticketOf('tom')}`;
  const first = await Socket.connect(address);
  assert.deepEqual((await first.json()).user, user('tom'));
  const second = await Socket.connect(address);
  assert.equal((await second.json()).code, 'invalid-token');
  assert.deepEqual(await second.closed(), { code: 1008, reason: 'Invalid token' });
});

test('a token in the cookie counts for pages of the own origin', async () => {
  const headers = { cookie: `a=b; jwt=${token('cora')}` };
  const own = new URL(server.http('/')).origin;
  const socket = await Socket.connect(server.ws('/private-chat/cookies'), { headers: { ...headers, origin: own } });
  assert.deepEqual((await socket.json()).user, user('cora'));
});

test('revoked tokens end their sockets and open no others, newer ones do', async () => {
  const signed = (/** @type {number} */ ahead) => sign({ ...user('rex'), iat: seconds(ahead), exp: seconds(600) });
  const address = (/** @type {string} */ jwt) => `${server.ws('/private-chat/revoked')}?token=${jwt}`;
  const socket = await Socket.connect(address(signed(-60)));
  assert.equal((await socket.json()).type, 'authenticated');
  const revoked = await post('/api/v1/revoke', { user: 'rex', before: new Date(Date.now() - 30_000) });
  assert.equal(revoked.disconnected, 1);
  assert.deepEqual(await socket.closed(), { code: 1008, reason: 'Disconnected' });
  const again = await Socket.connect(address(signed(-60)));
  assert.equal((await again.json()).code, 'invalid-token');
  const newer = await Socket.connect(address(signed(-10)));
  assert.equal((await newer.json()).type, 'authenticated');
});
