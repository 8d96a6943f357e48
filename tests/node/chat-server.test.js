// docs/guide/src/wire.md, "Chat": `/chat/:roomId`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket, positioned, timeless } from '../support/socket.js';
import { user } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

/**
 * @param {string} room
 * @param {string | number} name
 */
async function join(room, name) {
  const socket = await Socket.connect(server.as(`/chat/${room}`, name));
  return { socket, history: await socket.json() };
}

/**
 * A room with Ada and Bob in it, and nothing unread.
 *
 * @param {string} room
 */
async function pair(room) {
  const { socket: ada } = await join(room, 'ada');
  const { socket: bob } = await join(room, 'bob');
  assert.equal((await ada.json()).type, 'user-joined');
  return { ada, bob };
}

test('whoever joins gets the history first, and the others hear of it', async () => {
  const { socket: ada, history: empty } = await join('hall', 'ada');
  const { rest, position } = positioned(empty);
  assert.deepEqual(rest, { type: 'room-history', messages: [], users: [user('ada')] });
  assert.equal(position.offset, 0);

  const { socket: bob, history } = await join('hall', 'bob');
  assert.deepEqual(history, {
    type: 'room-history',
    messages: [],
    users: [user('ada'), user('bob')],
    userCount: 2,
    usersVersion: 2,
    ...position,
  });
  const joined = { type: 'user-joined', user: user('bob'), userCount: 2 };
  assert.deepEqual(await ada.json(), joined);

  const left = { type: 'user-left', user: user('bob'), userCount: 1 };
  await bob.close();
  assert.deepEqual(await ada.json(), left);

  const { socket: again } = await join('hall', 'bob');
  assert.deepEqual(await ada.json(), joined);
  // Dying without a close frame is leaving as well.
  again.cut();
  assert.deepEqual(await ada.json(), left);
});

test('a message goes to everyone, the sender included, and into the history', async () => {
  const { ada, bob } = await pair('kitchen');
  const sent = ['first', 'second'];
  for (const text of sent) ada.send({ type: 'chat', text });
  const messages = [];
  for (const [index, text] of sent.entries()) {
    const message = await ada.json();
    messages.push(message);
    assert.deepEqual(await bob.json(), message);
    const { id, ...rest } = timeless(message);
    const offset = index + 1;
    assert.deepEqual(rest, { type: 'chat-message', text, user: user('ada'), offset });
    assert.ok(Number.isSafeInteger(id), `${id}`);
  }

  const { history } = await join('kitchen', 'carol');
  const { rest, position } = positioned(history);
  assert.deepEqual(rest, {
    type: 'room-history',
    messages,
    users: [user('ada'), user('bob'), user('carol')],
  });
  assert.equal(position.offset, 2);
  const { history: elsewhere } = await join('pantry', 'dave');
  assert.deepEqual(elsewhere.messages, []);
});

test('of many messages the last 50 are sent, oldest first, with rising ids', async () => {
  const { socket: ada } = await join('archive', 'ada');
  const texts = Array.from({ length: 120 }, (_, number) => `message ${number}`);
  for (const text of texts) ada.send({ type: 'chat', text });
  for (const text of texts) assert.equal((await ada.json()).text, text);

  const { history } = await join('archive', 'bob');
  assert.deepEqual(
    history.messages.map(({ text }) => text),
    texts.slice(-50),
  );
  const ids = history.messages.map(({ id }) => id);
  assert.deepEqual(
    ids,
    [...new Set(ids)].sort((a, b) => a - b),
  );
});

test('typing is announced to the others', async () => {
  const { ada, bob } = await pair('desk');
  for (const isTyping of [true, false]) {
    ada.send({ type: 'typing', isTyping });
    assert.deepEqual(await bob.json(), { type: 'typing', user: user('ada'), isTyping });
  }
  // Ada got neither: what she sees next is this.
  bob.send({ type: 'chat', text: 'I see' });
  assert.equal((await ada.json()).text, 'I see');
});

test('a private message reaches every socket of its target and nobody else', async () => {
  const { ada, bob } = await pair('booth');
  const { socket: phone } = await join('street', 'bob');
  const { socket: carol } = await join('street', 'carol');
  assert.equal((await phone.json()).type, 'user-joined');

  ada.send({ type: 'private', targetUserId: 'bob', text: 'psst' });
  for (const device of [bob, phone]) {
    assert.deepEqual(timeless(await device.json()), {
      type: 'private-message',
      text: 'psst',
      from: user('ada'),
    });
  }
  assert.deepEqual(await ada.json(), { type: 'private-message-sent', to: 'bob', text: 'psst' });

  phone.send({ type: 'chat', text: 'aloud' });
  assert.equal((await carol.json()).text, 'aloud');
});

test('a private message finds a user whose id is a number', async () => {
  const { socket: ada } = await join('numbers', 1);
  const { socket: bob } = await join('numbers', 2);
  await ada.json();
  ada.send({ type: 'private', targetUserId: 2, text: 'psst' });
  assert.deepEqual(timeless(await bob.json()), {
    type: 'private-message',
    text: 'psst',
    from: user(1),
  });
  assert.deepEqual(await ada.json(), { type: 'private-message-sent', to: 2, text: 'psst' });
  // As in the guide, a number and its text are two ids.
  ada.send({ type: 'private', targetUserId: '2', text: 'psst' });
  assert.deepEqual(await ada.json(), { type: 'error', code: 'user-offline', message: 'User not found or offline' });
});

test('a private message to somebody who is not connected is an error', async () => {
  const { socket: ada } = await join('empty', 'ada');
  const { socket: zoe } = await join('empty', 'zoe');
  await ada.json();
  await zoe.close();
  assert.equal((await ada.json()).type, 'user-left');
  for (const targetUserId of ['zoe', 'nobody']) {
    ada.send({ type: 'private', targetUserId, text: 'hello?' });
    assert.deepEqual(await ada.json(), { type: 'error', code: 'user-offline', message: 'User not found or offline' });
  }
});

test('what cannot be understood is answered to the sender, who stays', async () => {
  const { ada, bob } = await pair('babel');
  const UNKNOWN = { type: 'error', code: 'unknown-type', message: 'Unknown message type' };
  const INVALID = { type: 'error', code: 'invalid-format', message: 'Invalid message format' };
  /** @type {[string, object][]} */
  const cases = [
    ['{"type":"dance"}', UNKNOWN],
    ['{"type":"Chat","text":"x"}', UNKNOWN],
    ['{"text":"no type"}', UNKNOWN],
    ['{"type":7}', UNKNOWN],
    ['{no json', INVALID],
    ['', INVALID],
    ['null', INVALID],
    ['7', INVALID],
    ['[{"type":"chat","text":"x"}]', INVALID],
    ['"chat"', INVALID],
    ['{"type":"chat"}', INVALID],
    ['{"type":"chat","text":7}', INVALID],
  ];
  for (const [sent, refusal] of cases) {
    ada.send(sent);
    assert.deepEqual(await ada.json(), refusal, sent);
  }
  ada.send({ type: 'chat', text: 'still here' });
  assert.equal((await bob.json()).text, 'still here');
});

test('a flood of messages is refused in part, and the connection stays', async () => {
  const { socket } = await join('flood', 'ada');
  const flood = 1000;
  for (let number = 0; number < flood; number++) {
    socket.send(JSON.stringify({ type: 'typing', isTyping: true }));
  }
  // Nobody else is there to see her type: what comes is the refusals, then the answer to this.
  const { retryAfterMs, ...refusal } = await socket.json();
  assert.deepEqual(refusal, { type: 'error', code: 'rate-limited', message: 'Rate limit exceeded' });
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 1000, `${retryAfterMs}`);
  for (;;) {
    socket.send(JSON.stringify({ type: 'chat', text: 'still here' }));
    const answer = await socket.json();
    if (answer.type === 'chat-message') break;
    assert.equal(answer.code, 'rate-limited');
  }
});
