// The page when everything around it fails: each message is shown once and in order.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { LOST, Visitor, launch } from '../support/browser.js';
import { Line } from '../support/line.js';
import { isKept } from '../support/outbox.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { isOnce } from '../support/subscribers.js';
import { SECRET, token } from '../support/token.js';

const API_KEY = 'a key of tests, thirty-two bytes and more';

/** @type {Server} */
let server;
/** @type {string} */
let store;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {(() => unknown)[]} */
let leaving = [];
before(async () => {
  store = await mkdtemp(path.join(tmpdir(), 'nextrush-page-'));
  server = new Server({
    args: ['--dev', '--store', store, '--api-key', API_KEY],
    env: { JWT_SECRET: SECRET },
  });
  await server.run();
  browser = await launch();
});
afterEach(async () => {
  for (const leave of leaving.splice(0).reverse()) await leave();
});
after(async () => {
  await browser?.close();
  await server.stop();
  await rm(store, { recursive: true });
});

/**
 * Somebody in a room, who may come by another way than directly.
 *
 * @param {string} name
 * @param {string} room
 * @param {{ origin?: string, clock?: boolean }} [options]
 */
async function enter(name, room, { origin = server.page, clock = false } = {}) {
  const visitor = await Visitor.arrive(browser, origin);
  leaving.push(() => visitor.context.close());
  if (clock) await visitor.page.clock.install();
  await signIn(visitor, name, room, origin);
  return visitor;
}

/** @param {Visitor} visitor @param {string} name @param {string} room */
async function signIn(visitor, name, room, origin = server.page) {
  await visitor.page.goto(`${origin}/#/chat/${room}`);
  await visitor.part('sign-in-name').fill(name);
  await visitor.part('sign-in-button').click();
  await visitor.isMember();
}

/** @param {Visitor} visitor @param {string} text */
async function say({ part, page }, text) {
  await page.getByTestId('message-input').fill(text);
  await page.keyboard.press('Enter');
}

/** Somebody without a browser, in a room. @param {string} room @param {string} name */
async function member(room, name) {
  const socket = await Socket.connect(server.as(`/chat/${room}`, name));
  leaving.push(() => socket.cut());
  await socket.json();
  return {
    /** @param {string} text */
    async say(text) {
      socket.send(JSON.stringify({ type: 'chat', text }));
      while ((await socket.json()).text !== text);
    },
    leave: () => socket.cut(),
  };
}

/**
 * Waits until all of these are in the log and nothing is on its way, and looks whether they are
 * there once and in order, and nothing else.
 *
 * @param {Visitor} visitor
 * @param {string[]} texts
 */
async function shows({ page }, texts) {
  await page.waitForFunction(
    (count) =>
      document.querySelectorAll('[data-testid=message]').length >= count &&
      !document.querySelector('[data-state=sending], [data-state=waiting], [data-testid=drafts] [data-state=sent]'),
    texts.length,
  );
  assert.deepEqual(await page.getByTestId('message-text').allInnerTexts(), texts);
}

/** @param {Visitor} visitor @param {string} state @param {number} count */
async function has({ page }, state, count) {
  await page.waitForFunction(
    ({ state, count }) => document.querySelectorAll(`[data-testid=message][data-state=${state}]`).length === count,
    { state, count },
  );
}

/** Waits until the outbox of a room keeps so many messages. @param {Visitor} visitor @param {string} room @param {number} count */
async function keeps({ page }, room, count) {
  await page.waitForFunction(isKept, { room, count });
}

/** Makes the page believe that it is seen or not. @param {Visitor} visitor @param {'visible' | 'hidden'} state */
function look({ page }, state) {
  return page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

test('what is written offline waits, is shown as waiting, and goes out once', async () => {
  const bob = await enter('Bob', 'tunnel');
  const ada = await enter('Ada', 'tunnel');
  await say(ada, 'before');
  await shows(bob, ['before']);
  await ada.context.setOffline(true);
  await ada.sees('connection-reason', 'This device has no network.');
  for (const text of ['one', 'two', 'one']) await say(ada, text);
  await has(ada, 'waiting', 3);
  await ada.sees('message-state', 'Waits for the connection');
  await say(bob, 'are you there?');
  await shows(bob, ['before', 'are you there?']);
  await ada.picture('offline');
  await ada.context.setOffline(false);
  await ada.isMember();
  const texts = ['before', 'are you there?', 'one', 'two', 'one'];
  await shows(ada, texts);
  await shows(bob, texts);
  assert.equal(await ada.part('gap').count(), 0);
  await ada.leave(LOST);
  await bob.leave();
});

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL'])) {
  test(`a server that is ${signal === 'SIGTERM' ? 'restarted' : 'killed'}: nothing is lost or doubled`, async () => {
    const room = `dock-${signal}`;
    const bob = await enter('Bob', room);
    const ada = await enter('Ada', room);
    for (const n of [1, 2, 3]) await say(ada, `n ${n}`);
    await shows(bob, ['n 1', 'n 2', 'n 3']);
    for (const n of [4, 5, 6]) await say(ada, `n ${n}`);
    await server.stop(signal);
    await ada.isNow('reconnecting');
    await ada.sees('connection-reason', /is restarting|connection was lost|cannot be reached/);
    for (const n of [7, 8, 9]) await say(ada, `n ${n}`);
    await server.run();
    const texts = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `n ${n}`);
    await shows(ada, texts);
    await bob.isMember();
    await shows(bob, texts);
    assert.equal(await bob.part('gap').count(), 0);
    await ada.leave(LOST);
    await bob.leave(LOST);
  });
}

test('a server that drains says when to come back: the page counts the seconds, and misses nothing', async () => {
  const ada = await Visitor.arrive(browser, server.page);
  leaving.push(() => ada.context.close());
  await ada.page.clock.install();
  /** @type {import('playwright-core').WebSocketRoute | null} */
  let socket = null;
  let connections = 0;
  await ada.page.routeWebSocket(/\/chat\//, (route) => {
    route.connectToServer();
    socket = route;
    connections += 1;
  });
  await signIn(ada, 'Ada', 'sluice');
  const bob = await member('sluice', 'bob');
  await bob.say('seen');
  await shows(ada, ['seen']);
  // From here on time passes only where the test says so, however long anything takes.
  await ada.page.clock.pauseAt(Date.now() + 60_000);
  const open = /** @type {import('playwright-core').WebSocketRoute} */ (/** @type {unknown} */ (socket));
  open.send(JSON.stringify({ type: 'reconnect', afterMs: 60_000 }));
  await open.close({ code: 1012, reason: 'reconnect after 60000 ms' });
  await ada.sees('connection-reason', 'The server is restarting.');
  await bob.say('missed');
  await ada.page.clock.fastForward(45_000);
  await ada.sees('connection-countdown', 'Next attempt in 15 s');
  assert.equal(connections, 1);
  await ada.page.clock.fastForward(15_000);
  await ada.page.clock.resume();
  await ada.isMember();
  await shows(ada, ['seen', 'missed']);
  await ada.part('connection-banner').waitFor({ state: 'hidden' });
  await ada.leave(LOST);
});

test('a slow line that breaks again and again brings everything once', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const ada = await enter('Ada', 'gravel', { origin: line.page });
  const bob = await member('gravel', 'bob');
  line.bytesPerSecond = 20_000;
  const texts = [];
  for (let n = 1; n <= 60; n += 1) {
    const text = `${n} ${'x'.repeat(400)}`;
    texts.push(text);
    await bob.say(text);
    if (n % 20 === 10) line.cut();
  }
  await ada.isMember();
  await shows(ada, texts);
  line.cut();
  await say(ada, 'slow but sure');
  await shows(ada, [...texts, 'slow but sure']);
  assert.equal(await ada.part('gap').count(), 0);
  await ada.leave(LOST);
});

test('somebody with two windows is still there when one of them is closed after a reconnect', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const ada = await enter('Ada', 'foyer', { origin: line.page });
  const windows = [await member('foyer', 'bob'), await member('foyer', 'bob')];
  await ada.sees('member-devices', '2 devices');
  line.refuse = /^GET \/chat\//;
  line.cut();
  await ada.isNow('reconnecting');
  line.refuse = null;
  await ada.isMember();
  await ada.sees('member-devices', '2 devices');
  await windows[0].leave();
  await ada.part('member-devices').waitFor({ state: 'detached' });
  assert.equal(await ada.part('member').count(), 2);
  assert.equal(await ada.part('notice').filter({ hasText: 'bob left' }).count(), 0);
  await ada.leave(LOST);
});

test('a tab hidden for minutes, whose timers stand still, is up to date when it is shown', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const ada = await enter('Ada', 'attic', { origin: line.page, clock: true });
  const bob = await member('attic', 'bob');
  await bob.say('seen');
  await shows(ada, ['seen']);
  await look(ada, 'hidden');
  await bob.say('unseen');
  await ada.page.waitForFunction(() => document.title.startsWith('(1) '));
  await ada.page.clock.pauseAt(Date.now() + 60_000);
  line.cut();
  await ada.page.waitForFunction(() => document.querySelector('[data-testid=connection][data-state=reconnecting]'));
  await bob.say('missed');
  await ada.page.clock.setSystemTime(Date.now() + 600_000);
  await look(ada, 'visible');
  await ada.page.clock.resume();
  await ada.isMember();
  await shows(ada, ['seen', 'unseen', 'missed']);
  await ada.page.waitForFunction(() => document.title === '#attic · NextRush');
  await ada.leave(LOST);
});

test('five tabs have one connection for posts, and lose nothing when the one that holds it is closed', async () => {
  const first = await enter('Ada', 'bench');
  const { context } = first;
  const publish = (/** @type {string} */ title) =>
    server.request('POST', '/api/posts', { token: token('bob'), body: { title } });
  const pages = [first.page];
  await first.part('tab-live').click();
  await first.hasPosts();
  for (let n = 1; n < 5; n += 1) {
    const page = await context.newPage();
    // What a tab knows of who is signed in is its own.
    const session = await first.page.evaluate(() => ({ ...sessionStorage }));
    await page.addInitScript((entries) => {
      for (const [key, value] of Object.entries(entries)) sessionStorage.setItem(key, value);
    }, session);
    await page.goto(`${server.page}/#/live`);
    pages.push(page);
  }
  const shown = async (/** @type {import('playwright-core').Page} */ page, /** @type {string[]} */ titles) => {
    await page.waitForFunction((count) => document.querySelectorAll('[data-testid=post]').length >= count, titles.length);
    assert.deepEqual(await page.getByTestId('post-item-title').allInnerTexts(), titles);
  };
  for (const page of pages) await page.getByTestId('post-count').filter({ hasText: /^\d/ }).waitFor();
  await publish('one');
  for (const page of pages) await shown(page, ['one']);
  await isOnce(server, API_KEY, 'posts');
  const titles = ['one'];
  for (const title of ['two', 'three', 'four']) {
    await pages.shift()?.close();
    await publish(title);
    titles.unshift(title);
    for (const page of pages) await shown(page, titles);
    await isOnce(server, API_KEY, 'posts');
  }
});

test('posts that were published and changed while the line was broken are there, each once', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const ada = await enter('Ada', 'press', { origin: line.page });
  const publish = async (/** @type {string} */ title) =>
    (await server.request('POST', '/api/posts', { token: token('bob'), body: { title } })).body.post;
  await ada.part('tab-live').click();
  await ada.hasPosts();
  const { id } = await publish('first');
  await ada.sees('post-item-title', 'first');
  // All that there are: posts of other tests are among them.
  const { body: all } = await server.request('GET', '/api/posts', { token: token('bob') });
  const before = all.posts.length;
  assert.equal(await ada.part('post').count(), before);
  // Nothing is loaded anew from here on: what comes, comes over the channel.
  await ada.page.route(/\/api\/posts$/, (route) => route.abort());
  line.refuse = /^GET \/live/;
  line.cut();
  await ada.isNow('reconnecting', 'live-connection');
  await ada.sees('live-connection-reason', /connection was lost|cannot be reached/);
  await server.request('PUT', `/api/posts/${id}`, { token: token('bob'), body: { title: 'first, changed' } });
  for (const title of ['second', 'third']) await publish(title);
  line.refuse = null;
  await ada.isNow('connected', 'live-connection');
  await ada.part('post').nth(before + 1).waitFor();
  const titles = await ada.part('post-item-title').allInnerTexts();
  assert.deepEqual(titles.slice(0, 3), ['third', 'second', 'first, changed']);
  assert.equal(titles.length, before + 2);
  await ada.leave(LOST);
});

test('a page that is reloaded with messages in its outbox shows them, and sends them once', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const bob = await enter('Bob', 'lift');
  const ada = await enter('Ada', 'lift', { origin: line.page });
  await say(ada, 'before');
  await shows(bob, ['before']);
  line.refuse = /^GET \/chat\//;
  line.cut();
  await ada.isNow('reconnecting');
  for (const n of [1, 2, 3]) await say(ada, `n ${n}`);
  await has(ada, 'waiting', 3);
  await keeps(ada, 'lift', 3);
  await ada.page.reload();
  await has(ada, 'waiting', 3);
  line.refuse = null;
  const texts = ['before', 'n 1', 'n 2', 'n 3'];
  await shows(bob, texts);
  await ada.isMember();
  await shows(ada, texts);
  await ada.page.reload();
  await ada.isMember();
  await shows(ada, texts);
  await ada.leave(LOST);
  await bob.leave();
});

test('a page that was closed before its messages went out sends them when it is opened again', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const bob = await enter('Bob', 'cellar');
  const ada = await enter('Ada', 'cellar', { origin: line.page });
  line.refuse = /^GET \/chat\//;
  line.cut();
  await ada.isNow('reconnecting');
  for (const n of [1, 2]) await say(ada, `n ${n}`);
  await has(ada, 'waiting', 2);
  await keeps(ada, 'cellar', 2);
  await ada.page.reload();
  await has(ada, 'waiting', 2);
  await ada.page.close();
  ada.page = await ada.context.newPage();
  line.refuse = null;
  await signIn(ada, 'Ada', 'cellar', line.page);
  await shows(bob, ['n 1', 'n 2']);
  await shows(ada, ['n 1', 'n 2']);
});

test('a history that does not reach back is told in the log, with what is kept after it', async () => {
  const line = await Line.lay(server.port);
  leaving.push(() => line.end());
  const ada = await enter('Ada', 'flood', { origin: line.page });
  const bob = await member('flood', 'bob');
  await bob.say('seen');
  await shows(ada, ['seen']);
  line.refuse = /^GET \/chat\//;
  line.cut();
  await ada.isNow('reconnecting');
  for (let n = 1; n <= 120; n += 1) await bob.say(`n ${n}`);
  line.refuse = null;
  await ada.sees('gap', '120 messages were missed here');
  const kept = Array.from({ length: 50 }, (_, i) => `n ${71 + i}`);
  await shows(ada, ['seen', ...kept]);
  await ada.leave(LOST);
});
