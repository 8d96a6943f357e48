// The robust endpoint, `/robust-chat/:roomId`. Its times have a file of their own, which takes the
// minute that they last.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const INVALID_TYPE = {
  type: 'error',
  code: 'invalid-format',
  message: 'Invalid message format',
  details: 'Invalid message type',
};

/**
 * A member of a room. Nobody greets it, so it asks for a sign of life, which is not counted as a
 * message.
 *
 * @param {string} room
 */
async function join(room) {
  const socket = await Socket.connect(server.ws(`/robust-chat/${room}`));
  socket.send('{}');
  assert.deepEqual(await socket.json(), INVALID_TYPE);
  return socket;
}

test('a message without a string as its type is answered with details', async () => {
  const socket = await join('types');
  for (const sent of ['{"text":"x"}', '{"type":7}', '{"type":null}', '{"type":""}', '[]', 'null', '"text"']) {
    socket.send(sent);
    assert.deepEqual(await socket.json(), INVALID_TYPE, sent);
  }
});

test('what is no JSON is answered with what the parser said', async () => {
  const socket = await join('parser');
  for (const sent of ['{no json', '', '{"type":"x"']) {
    socket.send(sent);
    const { details, ...answer } = await socket.json();
    assert.deepEqual(answer, { type: 'error', code: 'invalid-format', message: 'Invalid message format' }, sent);
    assert.equal(typeof details, 'string', sent);
    assert.notEqual(details, 'Invalid message type', sent);
  }
});

/** @param {Socket} socket */
async function assertRefused(socket) {
  const { retryAfterMs, ...answer } = await socket.json();
  assert.deepEqual(answer, { type: 'error', code: 'rate-limited', message: 'Rate limit exceeded' });
  // The first of the 60 was just now.
  assert.ok(Number.isInteger(retryAfterMs) && retryAfterMs > 30_000 && retryAfterMs <= 60_000, `${retryAfterMs}`);
}

test('the 61st message of a minute is refused and dropped, and the connection stays', async () => {
  const [ada, bob] = [await join('rate'), await join('rate')];
  for (let number = 1; number <= 61; number += 1) ada.send({ type: 'count', number });
  await assertRefused(ada);
  for (let number = 1; number <= 60; number += 1) {
    assert.deepEqual(await bob.json(), { type: 'count', number });
  }
  // The limit is each one's own, and Ada is still there to hear; the 61st came to nobody.
  bob.send({ type: 'hello' });
  assert.deepEqual(await ada.json(), { type: 'hello' });
  ada.send({ type: 'count', number: 62 });
  await assertRefused(ada);
  const carol = await join('rate');
  carol.send({ type: 'end' });
  assert.deepEqual(await bob.json(), { type: 'end' });
});

test('a connection that fails is told so with a code, then closed', async () => {
  const socket = await join('failure');
  socket.send(JSON.stringify({ type: 'large', text: 'x'.repeat(64 * 1024) }));
  const { code, ...answer } = await socket.json();
  assert.deepEqual(answer, { type: 'error', message: 'Connection error occurred' });
  assert.equal(typeof code, 'string');
  assert.equal((await socket.closed()).code, 1009);
});
