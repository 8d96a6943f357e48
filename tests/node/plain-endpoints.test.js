// docs/guide/src/wire.md, "Plain endpoints".
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

test('/chat welcomes and echoes', async () => {
  const socket = await Socket.connect(server.ws('/chat'));
  assert.equal(await socket.text(), 'Welcome to the chat!');
  for (const text of ['hello', '', 'Grüße, 世界 👋', '{"not":"parsed"}']) {
    socket.send(text);
    assert.equal(await socket.text(), `Echo: ${text}`);
  }
  await socket.close();
});

test('/rooms/:roomId welcomes and passes messages on to the others, as they came', async () => {
  const [ada, bob, elsewhere] = await Promise.all(
    ['den', 'den', 'attic'].map((room) => Socket.connect(server.ws(`/rooms/${room}`))),
  );
  assert.equal(await ada.text(), 'Welcome to room den!');
  assert.equal(await bob.text(), 'Welcome to room den!');
  assert.equal(await elsewhere.text(), 'Welcome to room attic!');

  ada.send('{ "as":  "it came" }');
  ada.sendBinary(Buffer.from([0, 255, 7]));
  assert.equal(await bob.text(), '{ "as":  "it came" }');
  assert.deepEqual(await bob.next(), { kind: 'binary', data: Buffer.from([0, 255, 7]) });

  // Neither the sender nor another room got anything: what comes next for them is this.
  bob.send('answer');
  assert.equal(await ada.text(), 'answer');
  const neighbour = await Socket.connect(server.ws('/rooms/attic'));
  assert.equal(await neighbour.text(), 'Welcome to room attic!');
  neighbour.send('here');
  assert.equal(await elsewhere.text(), 'here');
});

test('/rooms/:roomId takes a user id and an authorization, and any name of a room', async () => {
  const socket = await Socket.connect(server.ws('/rooms/caf%C3%A9%20%2F%201?userId=7'), {
    headers: { authorization: 'Bearer whatever' },
  });
  assert.equal(await socket.text(), 'Welcome to room café / 1!');
});

test('/games/:gameId/players/:playerId says who is connected', async () => {
  const socket = await Socket.connect(server.ws('/games/chess-7/players/42'));
  assert.deepEqual(await socket.json(), { type: 'connected', gameId: 'chess-7', playerId: '42' });
});

test('a ping is answered with its own payload', async () => {
  const socket = await Socket.connect(server.ws('/chat'));
  await socket.text();
  socket.ping('payload');
  assert.deepEqual(await socket.next(), { kind: 'pong', data: Buffer.from('payload') });
});

test('a message over 64 KiB closes its socket with 1009, one of exactly that size does not', async () => {
  const socket = await Socket.connect(server.ws('/chat'));
  await socket.text();
  const largest = 'x'.repeat(64 * 1024);
  socket.send(largest);
  assert.equal(await socket.text(), `Echo: ${largest}`);
  socket.send(`${largest}x`);
  assert.equal((await socket.closed()).code, 1009);
});

test('a text that is not UTF-8 closes its socket with 1007', async () => {
  const socket = await Socket.connect(server.ws('/chat'));
  await socket.text();
  socket.sendAsText(Buffer.from([0x68, 0xff, 0x69]));
  assert.equal((await socket.closed()).code, 1007);
});

// docs/guide/src/limits.md, "Per endpoint".
test('a hundred pings at once are answered; who goes on is closed with 1008', async () => {
  const socket = await Socket.connect(server.ws('/chat'));
  assert.equal(await socket.text(), 'Welcome to the chat!');
  for (let count = 0; count < 1_000; count += 1) socket.ping(`${count}`);
  let answered = 0;
  let event = await socket.next();
  for (; event.kind === 'pong'; event = await socket.next()) {
    assert.equal(event.data.toString(), `${answered}`);
    answered += 1;
  }
  assert.deepEqual(event, { kind: 'close', code: 1008, reason: 'too many pings' });
  assert.ok(answered >= 100 && answered < 1_000, `${answered} were answered`);
});
