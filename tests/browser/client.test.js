// The project's own client as the server hands it to browsers, at `/client/index.js`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from '../support/browser.js';
import { Inbox, PATIENCE_MS } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { token, user } from '../support/token.js';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server.stop();
});

/**
 * A page of the server that has nothing of its own, with the client loaded as `window.nextrush`
 * and everything that `report` is given in an inbox.
 */
async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  /** @type {Inbox<{ name: string, event: any }>} */
  const reports = new Inbox();
  await page.exposeFunction('report', (/** @type {string} */ name, /** @type {unknown} */ event) =>
    reports.put({ name, event }),
  );
  await page.goto(`${server.page}/healthz`);
  await page.evaluate(async (address) => {
    Object.assign(window, { nextrush: await import(address) });
  }, '/client/index.js');
  const reported = async (/** @type {string} */ wanted) =>
    (await reports.find(({ name }) => name === wanted, `the event "${wanted}"`)).event;
  return { page, reported };
}

/**
 * A page whose `window.chat` is in a room.
 *
 * @param {string} room
 * @param {string} name
 */
async function join(room, name) {
  const opened = await open();
  await opened.page.evaluate(
    ([room, token]) => {
      // @ts-ignore
      const { nextrush, report } = window;
      const chat = new nextrush.ChatClient(room, token, { backoff: { minMs: 10, maxMs: 200 }, maxReconnectAttempts: Infinity });
      Object.assign(window, { chat });
      chat.handleMessage = () => {};
      for (const type of ['state', 'room-history', 'users', 'chat-message', 'typing-users', 'private-message', 'private-message-sent', 'error']) {
        chat.on(type, (/** @type {unknown} */ event) => report(type, event));
      }
      chat.connect();
    },
    [room, token(name)],
  );
  await opened.reported('room-history');
  return opened;
}

test('two windows chat, type and write in private', async () => {
  const ada = await join('hall', 'ada');
  const bob = await join('hall', 'bob');
  assert.deepEqual(await ada.reported('users'), [user('ada'), user('bob')]);

  // @ts-ignore
  await bob.page.evaluate(() => chat.sendTyping(true));
  assert.deepEqual(await ada.reported('typing-users'), [user('bob')]);
  // @ts-ignore
  await bob.page.evaluate(() => chat.sendMessage('Hello'));
  const message = await ada.reported('chat-message');
  assert.equal(message.text, 'Hello');
  assert.deepEqual(message.user, user('bob'));
  assert.deepEqual(await bob.reported('chat-message'), message);

  // @ts-ignore
  await ada.page.evaluate(() => chat.sendPrivate('bob', 'psst'));
  const whispered = await bob.reported('private-message');
  assert.equal(whispered.text, 'psst');
  assert.deepEqual(whispered.from, user('ada'));
  const confirmed = { type: 'private-message-sent', to: 'bob', text: 'psst' };
  assert.deepEqual(await ada.reported('private-message-sent'), confirmed);

  await bob.page.close();
  assert.deepEqual(await ada.reported('users'), [user('ada')]);
  await ada.page.close();
});

test('a client is back in its room after a restart of the server', async () => {
  const ada = await join('porch', 'ada');
  await server.restart();
  while ((await ada.reported('state')).state !== 'connected');
  await ada.reported('users');
  // @ts-ignore
  await ada.page.evaluate(() => chat.sendMessage('Back'));
  assert.equal((await ada.reported('chat-message')).text, 'Back');
  await ada.page.close();
});

test('a refused token stops a client for good', async () => {
  const { page, reported } = await open();
  await page.evaluate((address) => {
    // @ts-ignore
    const { nextrush, report } = window;
    const chat = new nextrush.ChatClient('hall', 'your-jwt-token', { server: address });
    chat.handleMessage = () => {};
    chat.on('state', (/** @type {any} */ change) => change.state === 'failed' && report('failed', change));
    chat.connect();
  }, server.page);
  assert.deepEqual(await reported('failed'), {
    state: 'failed',
    previous: 'connected',
    reason: 'unauthorized',
    code: 1008,
    closeReason: 'Invalid token',
  });
  await page.close();
});

test('a subscription hears of posts, also after a restart of the server', async () => {
  const { page, reported } = await open();
  await page.evaluate((token) => {
    // @ts-ignore
    const { nextrush, report } = window;
    const live = new nextrush.LiveClient(token, { backoff: { minMs: 10, maxMs: 200 } });
    const posts = live.subscribe('posts');
    posts.on('state', (/** @type {string} */ state) => report(state, null));
    posts.on('update', (/** @type {unknown} */ update) => report('update', update));
    live.connect();
  }, token('ada'));

  for (const title of ['Before', 'After']) {
    await reported('subscribed');
    const { body } = await server.request('POST', '/api/posts', { token: token('bob'), body: { title } });
    const { channel, data } = await reported('update');
    assert.equal(channel, 'posts');
    assert.deepEqual(data, { type: 'new-post', post: body.post });
    if (title === 'Before') await server.restart();
  }
  await page.close();
});

test('a page elsewhere may not connect with a token of this one', async () => {
  const other = await Server.start();
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${other.page}/healthz`);
    const failed = await page.evaluate(
      (address) =>
        new Promise((resolve) => {
          const socket = new WebSocket(address);
          socket.onopen = () => resolve(false);
          socket.onerror = () => resolve(true);
        }),
      server.as('/chat/hall', 'ada'),
    );
    assert.equal(failed, true);
    await page.close();
  } finally {
    await other.stop();
  }
  // It was the origin and not the token.
  const socket = await Socket.connect(server.as('/chat/hall', 'ada'));
  await socket.close();
});
