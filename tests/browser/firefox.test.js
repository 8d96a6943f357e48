// The page and its client in Firefox: what depends on the browser, when things fail around it.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { FirefoxVisitor, findFirefox, launchFirefox } from '../support/firefox.js';
import { Line } from '../support/line.js';
import { Server } from '../support/server.js';
import { isOnce } from '../support/subscribers.js';
import { SECRET, token } from '../support/token.js';

const API_KEY = 'a key of tests, thirty-two bytes and more';

/** @type {Server} */
let server;
/** @type {string} */
let store;
/** @type {import('puppeteer-core').Browser} */
let browser;
/** @type {(() => unknown)[]} */
let leaving = [];

const firefox = findFirefox();

describe('in Firefox', { skip: firefox === null && 'there is no Firefox; set FIREFOX' }, () => {
  before(async () => {
    store = await mkdtemp(path.join(tmpdir(), 'nextrush-firefox-'));
    server = new Server({
      args: ['--dev', '--store', store, '--api-key', API_KEY],
      env: { JWT_SECRET: SECRET },
    });
    await server.run();
    browser = await launchFirefox(/** @type {string} */ (firefox));
  });
  afterEach(async () => {
    for (const leave of leaving.splice(0).reverse()) await leave();
  });
  after(async () => {
    await browser?.close();
    await server.stop();
    await rm(store, { recursive: true });
  });

  /** @param {string} name @param {string} room */
  async function enter(name, room, origin = server.page) {
    const visitor = await FirefoxVisitor.arrive(browser);
    leaving.push(() => visitor.context.close());
    await visitor.enter(`${origin}/#/chat/${room}`, name);
    return visitor;
  }

  /** @param {FirefoxVisitor} visitor @param {string[]} texts */
  async function shows(visitor, texts) {
    await visitor.page.waitForFunction(
      (count) =>
        document.querySelectorAll('[data-testid=message]').length >= count &&
        !document.querySelector('[data-state=sending], [data-state=waiting], [data-testid=drafts] [data-state=sent]'),
      {},
      texts.length,
    );
    assert.deepEqual(await visitor.texts('message-text'), texts);
  }

  test('two people talk, and each sees who is there with which device', async () => {
    const ada = await enter('Ada', 'hall');
    const bob = await enter('Bob', 'hall');
    await ada.say('Hello Bob');
    await shows(bob, ['Hello Bob']);
    await bob.say('Hello Ada');
    await shows(ada, ['Hello Bob', 'Hello Ada']);
    await ada.sees('member-device', 'Firefox on Linux');
  });

  test('what is written offline waits, and goes out once', async () => {
    const bob = await enter('Bob', 'tunnel');
    const ada = await enter('Ada', 'tunnel');
    await ada.say('before');
    await shows(bob, ['before']);
    await ada.page.setOfflineMode(true);
    await ada.sees('connection-reason', 'This device has no network.');
    for (const text of ['one', 'two']) await ada.say(text);
    await ada.has('waiting', 2);
    await bob.say('are you there?');
    await shows(bob, ['before', 'are you there?']);
    await ada.page.setOfflineMode(false);
    await ada.isMember();
    const texts = ['before', 'are you there?', 'one', 'two'];
    await shows(ada, texts);
    await shows(bob, texts);
  });

  test('a server that is restarted: nothing is lost or doubled', async () => {
    const bob = await enter('Bob', 'dock');
    const ada = await enter('Ada', 'dock');
    for (const n of [1, 2, 3]) await ada.say(`n ${n}`);
    await server.stop();
    await ada.isNow('reconnecting');
    for (const n of [4, 5, 6]) await ada.say(`n ${n}`);
    await server.run();
    const texts = [1, 2, 3, 4, 5, 6].map((n) => `n ${n}`);
    await shows(ada, texts);
    await bob.isMember();
    await shows(bob, texts);
  });

  test('a slow line that breaks brings everything once', async () => {
    const line = await Line.lay(server.port);
    leaving.push(() => line.end());
    const bob = await enter('Bob', 'gravel');
    const ada = await enter('Ada', 'gravel', line.page);
    line.bytesPerSecond = 20_000;
    const texts = [];
    for (let n = 1; n <= 12; n += 1) {
      texts.push(`n ${n}`);
      await bob.say(`n ${n}`);
      if (n % 5 === 0) line.cut();
    }
    await ada.isMember();
    await shows(ada, texts);
    assert.equal((await ada.texts('gap')).length, 0);
  });

  test('a page that is reloaded with messages in its outbox shows them, and sends them once', async () => {
    const line = await Line.lay(server.port);
    leaving.push(() => line.end());
    const bob = await enter('Bob', 'lift');
    const ada = await enter('Ada', 'lift', line.page);
    line.refuse = /^GET \/chat\//;
    line.cut();
    await ada.isNow('reconnecting');
    for (const n of [1, 2, 3]) await ada.say(`n ${n}`);
    await ada.has('waiting', 3);
    await ada.keeps('lift', 3);
    await ada.page.reload();
    await ada.has('waiting', 3);
    line.refuse = null;
    await shows(bob, ['n 1', 'n 2', 'n 3']);
    await ada.isMember();
    await shows(ada, ['n 1', 'n 2', 'n 3']);
  });

  test('three tabs have one connection for posts, and lose nothing when the one that holds it is closed', async () => {
    const first = await enter('Ada', 'bench');
    const stored = await first.page.evaluate(() => ({ ...sessionStorage }));
    const pages = [first.page];
    await first.page.goto(`${server.page}/#/live`);
    for (let n = 1; n < 3; n += 1) {
      const page = await first.context.newPage();
      await page.evaluateOnNewDocument((entries) => {
        for (const [key, value] of Object.entries(entries)) sessionStorage.setItem(key, value);
      }, stored);
      await page.goto(`${server.page}/#/live`);
      pages.push(page);
    }
    const titles = [];
    for (const title of ['one', 'two', 'three']) {
      for (const page of pages) await page.waitForSelector('[data-testid=live-connection][data-state=connected]');
      await server.request('POST', '/api/posts', { token: token('bob'), body: { title } });
      titles.unshift(title);
      for (const page of pages) {
        await page.waitForFunction((count) => document.querySelectorAll('[data-testid=post]').length >= count, {}, titles.length);
        const shown = await page.$$eval('[data-testid=post-item-title]', (elements) => elements.map((element) => element.textContent));
        assert.deepEqual(shown, titles);
      }
      await isOnce(server, API_KEY, 'posts');
      if (pages.length > 1) await pages.shift()?.close();
    }
  });

  test('the inspector draws what the server does', async () => {
    const ops = await FirefoxVisitor.arrive(browser);
    leaving.push(() => ops.context.close());
    await ops.page.goto(`${server.page}/#/inspect`);
    await ops.isNow('connected', 'inspect-connection');
    await ops.sees('connections-shown', 'connection');
    await ops.page.waitForSelector('[data-testid=plot-connections] .plot-line[d^=M]');
    await ops.page.goto(`${server.page}/#/inspect/tail/posts`);
    await ops.sees('tail-state', 'Following');
    await server.request('POST', '/api/posts', { token: token('eve'), body: { title: 'Overheard' } });
    await ops.sees('tail-entry', 'Overheard');
  });
});
