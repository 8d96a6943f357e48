// The guide's own client, unchanged, in Node with `ws` as its WebSocket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { GUIDE_CLIENT, GuidePage } from '../support/guide-client.js';
import { NODES } from '../support/nodes.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { token, user } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

/**
 * A page whose client is in the room. The token in the guide is a placeholder, so its first
 * connection is refused; it reconnects with a good one.
 *
 * @param {string} name
 */
async function join(name) {
  const page = await GuidePage.open(server.port);
  page.client.token = token(name);
  await page.logged('Disconnected from chat');
  await page.timers.take('the wait before reconnecting').then(({ run }) => run());
  await page.logged('Connected to chat');
  await greet(page, name);
  return page;
}

/**
 * An open connection is not yet a place in the room; what was said there is.
 *
 * @param {GuidePage} page
 * @param {string} name
 */
async function greet(page, name) {
  page.say('I am here');
  await page.logged(`${name}@example.com: I am here`);
}

/** Somebody else in the guide's room, for whom everything that comes is taken. */
async function visitor() {
  const socket = await Socket.connect(server.as('/chat/room123', 'visitor'));
  return { socket, history: await socket.json() };
}

/** @param {GuidePage} page */
async function leave(page) {
  page.client.disconnect();
  await page.logged('Disconnected from chat');
}

test('the client is the guide\'s, byte for byte', async () => {
  const checksum = createHash('sha256').update(await readFile(GUIDE_CLIENT)).digest('hex');
  assert.equal(checksum, '911c69a924cb5f4254c075488937531c173d49391a587372fa366bd7c52d486c');
});

test('it shows the refusal of its placeholder token and tries again', async () => {
  const page = await GuidePage.open(server.port);
  await page.logged('Connected to chat');
  assert.equal(await page.logged('Error: Invalid token'), 'error');
  await page.logged('Disconnected from chat');
  await page.logged('Reconnecting... (1/5)');
  assert.equal((await page.timers.take('the wait')).ms, 1000);
});

test('it shows messages, its own included, and who joins and leaves', async () => {
  const page = await join('ada');
  const { socket, history } = await visitor();
  assert.deepEqual(history.users, [user('ada'), user('visitor')]);
  await page.logged('Notification: visitor@example.com joined');

  page.say('Hello from the guide');
  assert.equal(page.messageInput.value, '');
  await page.logged('ada@example.com: Hello from the guide');
  assert.equal((await socket.json()).text, 'Hello from the guide');

  socket.send({ type: 'chat', text: 'Hello, guide' });
  await page.logged('visitor@example.com: Hello, guide');

  await socket.close();
  await page.logged('Notification: User left');
  await leave(page);
});

test('it shows the errors of the server', async () => {
  const page = await join('ada');
  page.client.socket.send('{no json');
  assert.equal(await page.logged('Error: Invalid message format'), 'error');
  page.client.socket.send('{"type":"dance"}');
  await page.logged('Error: Unknown message type');
  page.client.socket.send('{"type":"private","targetUserId":"nobody","text":"?"}');
  await page.logged('Error: User not found or offline');
  await leave(page);
});

test('it survives what it does not know: history, typing, private messages', async () => {
  const page = await join('ada');
  const { socket } = await visitor();
  socket.send({ type: 'typing', isTyping: true });
  socket.send({ type: 'private', targetUserId: 'ada', text: 'psst' });
  socket.send({ type: 'chat', text: 'aloud' });
  await page.logged('visitor@example.com: aloud');
  await leave(page);
});

test('it comes back after the server has restarted, after longer and longer waits', async () => {
  const page = await join('ada');
  await server.stop();
  await page.logged('Disconnected from chat');
  for (const attempt of [1, 2, 3]) {
    await page.logged(`Reconnecting... (${attempt}/5)`);
    const { ms, run } = await page.timers.take('the wait before reconnecting');
    assert.equal(ms, 1000 * attempt);
    if (attempt === 3) await server.run();
    run();
  }
  await page.logged('Connected to chat');

  await greet(page, 'ada');
  const { socket, history } = await visitor();
  assert.deepEqual(history.users, [user('ada'), user('visitor')]);
  const texts = history.messages.map(({ text }) => text);
  // A single server has kept nothing; several have all that was said before.
  assert.deepEqual(NODES === 1 ? texts : texts.slice(-1), ['I am here']);
  await socket.close();
  await leave(page);
});
