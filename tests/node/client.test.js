// The project's own client in Node, with `ws` as its WebSocket, against the real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { ChatClient, LiveClient, Presence } from '../../clients/javascript/src/index.js';
import { Inbox, within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { timeless } from '../support/socket.js';
import { token, user } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const options = () => ({
  server: server.ws(''),
  WebSocket,
  // While the server restarts, more attempts may fail than anybody wants to count.
  maxReconnectAttempts: Infinity,
  backoff: { minMs: 10, maxMs: 100 },
});

/**
 * All that a client or subscription emits under a name.
 *
 * @param {{ on: (type: string, listener: (event: any) => void) => unknown }} emitter
 * @param {string} type
 */
function inbox(emitter, type) {
  /** @type {Inbox<any>} */
  const events = new Inbox();
  emitter.on(type, (event) => events.put(event));
  return { next: () => events.take(type), find: (/** @type {(event: any) => boolean} */ wanted) => events.find(wanted, type) };
}

/**
 * A client that is in a room.
 *
 * @param {string} room
 * @param {string} name
 */
async function join(room, name) {
  const client = new ChatClient(room, token(name), options());
  client.handleMessage = () => {};
  const history = inbox(client, 'room-history');
  client.connect();
  await history.next();
  return client;
}

test('two clients chat, type and see each other come and go', async () => {
  const ada = await join('hall', 'ada');
  const users = inbox(ada, 'users');
  const bob = await join('hall', 'bob');
  assert.deepEqual(await users.next(), [user('ada'), user('bob')]);
  assert.deepEqual(bob.users, [user('ada'), user('bob')]);

  const typing = inbox(ada, 'typing-users');
  assert.equal(bob.sendTyping(true), true);
  assert.deepEqual(await typing.next(), [user('bob')]);

  const messages = [inbox(ada, 'chat-message'), inbox(bob, 'chat-message')];
  assert.equal(bob.sendMessage('Hello'), true);
  const [heard, own] = await Promise.all(messages.map((each) => each.next()));
  assert.deepEqual(heard, own);
  assert.equal(heard.text, 'Hello');
  assert.deepEqual(heard.user, user('bob'));
  assert.deepEqual(await typing.next(), []);

  bob.disconnect();
  assert.deepEqual(await users.next(), [user('ada')]);
  ada.disconnect();
});

test('a private message is delivered and confirmed, or refused', async () => {
  const ada = await join('booth', 'ada');
  const bob = await join('booth', 'bob');
  const [received, confirmed, errors] = [
    inbox(bob, 'private-message'),
    inbox(ada, 'private-message-sent'),
    inbox(ada, 'error'),
  ];
  ada.sendPrivate('bob', 'psst');
  assert.deepEqual(timeless(await received.next()), {
    type: 'private-message',
    text: 'psst',
    from: user('ada'),
  });
  assert.deepEqual(await confirmed.next(), {
    type: 'private-message-sent',
    to: 'bob',
    text: 'psst',
  });
  ada.sendPrivate('nobody', '?');
  assert.deepEqual(await errors.next(), { type: 'error', code: 'user-offline', message: 'User not found or offline' });
  ada.disconnect();
  bob.disconnect();
});

test('the guide\'s handlers are called', async () => {
  const ada = new ChatClient('stage', token('ada'), options());
  const shown = new Inbox();
  ada.displayMessage = (message) => shown.put(`${message.user.email}: ${message.text}`);
  ada.displayNotification = (text) => shown.put(text);
  ada.displayError = (text) => shown.put(text);
  const history = inbox(ada, 'room-history');
  ada.connect();
  await history.next();

  const bob = await join('stage', 'bob');
  assert.equal(await shown.take('the joining'), 'bob@example.com joined');
  bob.sendMessage('Hello');
  assert.equal(await shown.take('the message'), 'bob@example.com: Hello');
  bob.disconnect();
  assert.equal(await shown.take('the leaving'), 'User left');
  ada.send({ type: 'dance' });
  assert.equal(await shown.take('the error'), 'Unknown message type');
  ada.disconnect();
});

test('a refused token stops a client for good', async () => {
  for (const client of [
    new ChatClient('hall', 'your-jwt-token', options()),
    new LiveClient('your-jwt-token', options()),
  ]) {
    client.handleMessage = () => {};
    const states = inbox(client, 'state');
    client.connect();
    const failed = await states.find(({ state }) => state === 'failed');
    assert.deepEqual(failed, {
      state: 'failed',
      previous: 'connected',
      reason: 'unauthorized',
      code: 1008,
      closeReason: 'Invalid token',
    });
    assert.equal(client.reconnectAttempts, 0);
  }
});

test('subscriptions hear of posts', async () => {
  const live = new LiveClient(token('ada'), options());
  const posts = live.subscribe('posts');
  const [states, updates] = [inbox(posts, 'state'), inbox(posts, 'update')];
  live.connect();
  assert.equal(await states.next(), 'subscribed');
  const { body } = await server.request('POST', '/api/posts', {
    token: token('bob'),
    body: { title: 'News' },
  });
  const { data, channel } = await updates.next();
  assert.equal(channel, 'posts');
  assert.deepEqual(data, { type: 'new-post', post: body.post });
  live.close();
});

test('presence of more than a page is the same list for everybody, also while devices come', async () => {
  const clients = Array.from({ length: 40 }, (_, index) => {
    const live = new LiveClient(token(`user-${index % 4}`), options());
    const presence = new Presence(live, 'presence-pages');
    presence.update({ index, text: 'x'.repeat(4_000) });
    return { live, presence, changes: inbox(presence, 'change') };
  });
  for (const { live } of clients) live.connect();
  const told = (/** @type {readonly any[]} */ members) => members.flatMap(({ devices }) => devices).filter(({ data }) => data);
  const indices = (/** @type {readonly any[]} */ members) => told(members).map(({ data }) => data.index).sort((a, b) => a - b);
  for (const { changes } of clients) await changes.find((members) => told(members).length === clients.length);
  // One that comes later finds three pages.
  const late = new LiveClient(token('late'), options());
  const presence = new Presence(late, 'presence-pages');
  const changes = inbox(presence, 'change');
  const pages = inbox(late, 'presence');
  late.connect();
  const members = await changes.find((list) => told(list).length === clients.length);
  assert.deepEqual(indices(members), clients.map((_, index) => index));
  assert.ok((await pages.next()).next > 0);
  for (const { live } of [...clients, { live: late }]) live.close();
});

test('after a restart of the server both clients are back where they were', async () => {
  const chat = await join('hall', 'ada');
  const live = new LiveClient(token('ada'), options());
  const posts = live.subscribe('posts');
  const [subscribed, updates] = [inbox(posts, 'state'), inbox(posts, 'update')];
  live.connect();
  assert.equal(await subscribed.next(), 'subscribed');

  const [states, users] = [inbox(chat, 'state'), inbox(chat, 'users')];
  await server.restart();

  const lost = await states.next();
  assert.equal(lost.state, 'disconnected');
  assert.equal(lost.reason, 'server-restart');
  assert.equal(lost.code, 1012);
  await states.find(({ state }) => state === 'connected');
  assert.deepEqual(await users.next(), [user('ada')]);
  const messages = inbox(chat, 'chat-message');
  chat.sendMessage('Back');
  assert.equal((await messages.next()).text, 'Back');

  assert.equal(await subscribed.next(), 'subscribing');
  assert.equal(await subscribed.next(), 'subscribed');
  await server.request('POST', '/api/posts', { token: token('bob'), body: { title: 'After' } });
  assert.equal((await updates.next()).data.post.title, 'After');
  chat.disconnect();
  live.close();
});

test('what was published while the connection was broken comes afterwards, once and in order', async () => {
  const live = new LiveClient(token('ada'), options());
  const posts = live.subscribe('posts');
  const [states, updates, recovered] = [inbox(posts, 'state'), inbox(posts, 'update'), inbox(posts, 'recovered')];
  live.connect();
  await states.find((state) => state === 'subscribed');
  const publish = (/** @type {string} */ title) =>
    server.request('POST', '/api/posts', { token: token('bob'), body: { title } });

  await publish('one');
  assert.equal((await updates.next()).data.post.title, 'one');
  /** @type {WebSocket} */ (/** @type {unknown} */ (live.socket)).terminate();
  await publish('two');
  await publish('three');
  await recovered.next();
  await publish('four');
  const rest = [await updates.next(), await updates.next(), await updates.next()];
  assert.deepEqual(rest.map(({ data }) => data.post.title), ['two', 'three', 'four']);
  live.close();
});

test('what is said while the connection breaks is confirmed, and said once', async () => {
  const chat = await join('porch', 'ada');
  const witness = await join('porch', 'bob');
  const heard = inbox(witness, 'chat-message');
  const texts = Array.from({ length: 10 }, (_, n) => `n ${n}`);
  const said = texts.map((text) => chat.say(text));
  /** @type {WebSocket} */ (/** @type {unknown} */ (chat.socket)).terminate();
  const ids = (await Promise.all(said)).map(({ messageId }) => messageId);
  assert.equal(new Set(ids).size, texts.length);
  await chat.say('the end');
  const seen = [];
  for (let text; text !== 'the end'; seen.push(text)) ({ text } = await heard.next());
  assert.deepEqual(seen, [...texts, 'the end']);

  await assert.rejects(chat.request({ type: 'private', targetUserId: 'nobody', text: 'psst' }), {
    code: 'refused',
    refusal: 'user-offline',
    message: 'User not found or offline',
  });
  chat.disconnect();
  witness.disconnect();
});

test('what is dropped, as it is too much at once, is said once all the same, and old messages are had', async () => {
  let sent = 0;
  class Counted extends WebSocket {
    /** @param {any} data */
    send(data) {
      if (JSON.parse(data).type === 'chat') sent += 1;
      super.send(data);
    }
  }
  const ada = new ChatClient('flood', token('ada'), { ...options(), WebSocket: Counted, requestLimit: 300 });
  ada.handleMessage = () => {};
  /** @type {any[]} */
  const said = [];
  ada.on('chat-message', (message) => said.push(message));
  const [errors, history] = [inbox(ada, 'error'), inbox(ada, 'room-history')];
  after(() => ada.disconnect());
  ada.connect();
  await history.next();
  // With so much before them they are too much however slowly the server reads.
  for (let n = 0; n < 1_000; n += 1) ada.send({ type: 'typing', isTyping: true });
  const texts = Array.from({ length: 260 }, (_, i) => `n ${i + 1}`);
  await Promise.all(texts.map((text) => ada.say(text)));
  assert.equal((await errors.next()).code, 'rate-limited');
  assert.ok(sent > texts.length, `${sent} were sent, so that none was dropped`);
  assert.deepEqual(said.map(({ text }) => text).sort(), [...texts].sort());

  const { messages, more } = await ada.history(said[200].offset, 20);
  assert.deepEqual(messages, said.slice(180, 200));
  assert.equal(more, true);
  assert.equal((await ada.history(said[161].offset)).more, false);
});

test('a token goes as a subprotocol, and is in no address', async () => {
  const live = new LiveClient(token('ada'), { ...options(), tokenIn: 'subprotocol' });
  const states = inbox(live, 'state');
  live.connect();
  await states.find(({ state }) => state === 'connected');
  const socket = /** @type {WebSocket} */ (live.socket);
  assert.deepEqual([socket.protocol, new URL(socket.url).search], ['nextrush.v1', '']);
  const hello = await within(live.request({ type: 'hello' }), 'an answer');
  assert.deepEqual(hello['user'].id, user('ada').id);
  live.close();

  const bad = new LiveClient('of.nobody', { ...options(), tokenIn: 'subprotocol' });
  const ends = inbox(bad, 'state');
  bad.connect();
  const { reason } = await ends.find(({ state }) => state === 'failed');
  assert.equal(reason, 'unauthorized');
});
