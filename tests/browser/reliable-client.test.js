// The client in a real browser, when everything around it fails: each message arrives once and in
// order. The server is one of these tests, which keeps positions and answers requests once.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { launch } from '../support/browser.js';
import { ContractHost } from '../support/contract-server.js';
import { PATIENCE_MS, eventually } from '../support/patience.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('playwright-core').BrowserContext} */
let context;
/** @type {ContractHost} */
let host;
before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  host = await ContractHost.start();
  context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
});
afterEach(async () => {
  await context.close();
  await host.stop({ abruptly: true });
});

/**
 * A page with `live` and its subscription `news`, and `chat` in a room, that notes what comes.
 *
 * @param {{ shared?: boolean, clock?: boolean, outbox?: string }} [options]
 */
async function open({ shared = false, clock = false, outbox } = {}) {
  const page = await context.newPage();
  if (clock) await page.clock.install();
  await page.goto(host.page);
  await page.evaluate(start, { shared, outbox });
  return page;
}

/** Runs in the page. @param {{ shared: boolean, outbox?: string }} options */
async function start({ shared, outbox }) {
  const address = '/client/index.js';
  const tabs = '/client/shared-socket.js';
  const { ChatClient, LiveClient, Outbox } = await import(address);
  const { sharedWebSocket } = await import(tabs);
  const backoff = { minMs: 10, maxMs: 100 };
  const live = new LiveClient('ada', { backoff, ...(shared && { WebSocket: sharedWebSocket('of ada') }) });
  const news = live.subscribe('news');
  const chat = new ChatClient('hall', 'ada', {
    backoff,
    maxReconnectAttempts: Infinity,
    ...(outbox && { outbox: new Outbox(outbox) }),
  });
  chat.handleMessage = () => {};
  /** @type {any} */
  const noted = { updates: [], gaps: [], recovered: 0, said: [], states: [], confirmed: [], failed: [] };
  news.on('update', (/** @type {any} */ { data }) => noted.updates.push(data.n ?? data));
  news.on('recovered', () => (noted.recovered += 1));
  chat.on('chat-message', (/** @type {any} */ { text }) => noted.said.push(text));
  for (const source of [news, chat]) source.on('gap', (/** @type {any} */ gap) => noted.gaps.push(gap));
  live.on('state', (/** @type {any} */ { state, reason }) => noted.states.push(`${state}: ${reason}`));
  const watch = (/** @type {Promise<any>} */ reply, /** @type {string} */ text) =>
    reply.then(() => noted.confirmed.push(text), (error) => noted.failed.push(`${text}: ${error.code}`));
  chat.on('restored', (/** @type {any} */ { message, reply }) => watch(reply, message.text));
  Object.assign(window, {
    live,
    news,
    chat,
    noted,
    say: (/** @type {string} */ text) => void watch(chat.say(text), text),
  });
  live.connect();
  chat.connect();
}

/**
 * Waits until something is true in the page.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} expression
 */
const until = (page, expression) => page.waitForFunction(expression, null, { polling: 20 });

/** @param {import('playwright-core').Page} page */
const ready = (page) => until(page, 'news.state === "subscribed" && chat.users.length > 0');

/**
 * Waits until there are so many messages in the outbox.
 *
 * @param {import('playwright-core').Page} page
 * @param {number} count
 */
const stores = (page, count) =>
  page.waitForFunction(async (count) => {
    const address = '/client/outbox.js';
    const { Outbox } = await import(address);
    return (await new Outbox('of ada').load()).length === count;
  }, count);

/** @param {import('playwright-core').Page} page */
const noted = (page) => page.evaluate('noted');

/** The numbers from `first` to `last`. */
const numbers = (/** @type {number} */ first, /** @type {number} */ last) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** @param {number} first @param {number} last */
function publish(first, last, padding = '') {
  for (const n of numbers(first, last)) host.contract.publish('news', padding ? { n, padding } : n);
}

test('offline for a while: what was missed comes afterwards, once and in order', async () => {
  const page = await open();
  await ready(page);
  publish(1, 3);
  await until(page, 'noted.updates.length === 3');
  await context.setOffline(true);
  await until(page, 'live.state === "suspended" && live.reason === "offline" || live.state === "connecting"');
  await page.evaluate('say("written offline")');
  publish(4, 8);
  await context.setOffline(false);
  await until(page, 'noted.updates.length >= 8 && noted.confirmed.length === 1');
  publish(9, 9);
  await until(page, 'noted.updates.includes(9)');
  const { updates, gaps, said, states, failed } = /** @type {any} */ (await noted(page));
  assert.deepEqual(updates, numbers(1, 9));
  assert.deepEqual(gaps, []);
  assert.deepEqual(said, ['written offline']);
  assert.deepEqual(failed, []);
  assert.ok(states.includes('suspended: offline'), states.join());
  assert.equal(host.contract.executed.get('written offline'), 1);
});

for (const abruptly of [false, true]) {
  test(`a server that ${abruptly ? 'dies' : 'restarts'}: nothing is lost or doubled`, async () => {
    const page = await open();
    await ready(page);
    publish(1, 5);
    await page.evaluate('for (let n = 1; n <= 20; n += 1) say(`n ${n}`)');
    await host.stop({ abruptly });
    publish(6, 10);
    await page.evaluate('for (let n = 21; n <= 40; n += 1) say(`n ${n}`)');
    await host.run();
    await until(page, 'noted.confirmed.length === 40 && noted.updates.length >= 10');
    publish(11, 11);
    await until(page, 'noted.updates.includes(11)');
    const { updates, gaps, said, failed } = /** @type {any} */ (await noted(page));
    const texts = numbers(1, 40).map((n) => `n ${n}`);
    assert.deepEqual(updates, numbers(1, 11));
    assert.deepEqual(said, texts);
    assert.deepEqual([gaps, failed], [[], []]);
    for (const text of texts) assert.equal(host.contract.executed.get(text), 1, text);
  });
}

test('a server that drains tells each client when to come back, and that is when it comes', async () => {
  const page = await open({ clock: true });
  await ready(page);
  publish(1, 1);
  await until(page, 'noted.updates.length === 1');
  // From here on time passes only where the test says so, however long anything takes.
  await page.clock.pauseAt(Date.now() + 60_000);
  await page.evaluate('live.on("retry", ({ delayMs }) => (window.delay = delayMs))');
  host.contract.drain(() => 60_000);
  await until(page, 'window.delay === 60000');
  const { accepted } = host;
  publish(2, 3);
  await page.clock.fastForward(59_000);
  assert.equal(await page.evaluate('live.state'), 'disconnected');
  assert.equal(host.accepted, accepted);
  await page.clock.fastForward(1_000);
  await page.clock.resume();
  await until(page, 'noted.updates.length === 3');
  assert.deepEqual(await page.evaluate('[noted.updates, noted.gaps]'), [[1, 2, 3], []]);
});

test('a slow line that breaks again and again brings everything once', async () => {
  host.bytesPerSecond = 60_000;
  const page = await open();
  await ready(page);
  const padding = 'x'.repeat(1_000);
  publish(1, 60, padding);
  for (const seen of [10, 30, 50]) {
    await until(page, `noted.updates.length >= ${seen}`);
    host.contract.cut(1006);
  }
  await page.evaluate('say("slow but sure")');
  publish(61, 80, padding);
  await until(page, 'noted.updates.length >= 80 && noted.confirmed.length === 1');
  const { updates, gaps, recovered } = /** @type {any} */ (await noted(page));
  assert.deepEqual(updates, numbers(1, 80));
  assert.deepEqual(gaps, []);
  assert.ok(recovered >= 3, `${recovered} recoveries`);
  assert.equal(host.contract.executed.get('slow but sure'), 1);
});

test('a tab hidden for ten minutes, whose timers stand still, is up to date when it is shown', async () => {
  const page = await open({ clock: true });
  await ready(page);
  publish(1, 2);
  await until(page, 'noted.updates.length === 2');
  const show = (/** @type {string} */ visibility) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, visibility);
  await show('hidden');
  await page.clock.pauseAt(Date.now() + 60_000);
  host.contract.cut(1006);
  await until(page, 'live.state === "disconnected"');
  publish(3, 6);
  // The wait for the next attempt never ends: it is called once, long after.
  await page.clock.setSystemTime(Date.now() + 600_000);
  assert.equal(await page.evaluate('live.state'), 'disconnected');
  await show('visible');
  await until(page, 'noted.updates.length === 6');
  const { updates, gaps, states } = /** @type {any} */ (await noted(page));
  assert.deepEqual(updates, numbers(1, 6));
  assert.deepEqual(gaps, []);
  assert.ok(states.includes('connecting: awake'), states.join());
});

test('five tabs have one socket, and lose nothing when the one that holds it is closed', async () => {
  const pages = [];
  for (let i = 0; i < 5; i += 1) {
    const page = await open({ shared: true });
    await ready(page);
    pages.push(page);
  }
  const { contract } = host;
  // The end of a connection may come to the server after what comes over the next one.
  const counts = () => [contract.subscribers('news'), contract.connections];
  const countAre = async (/** @type {number} */ sockets, /** @type {number} */ connections) => {
    const are = () => isDeepStrictEqual(counts(), [sockets, connections]);
    await eventually(are, () => `${sockets} sockets, ${connections} connections: ${counts()}`);
  };
  await countAre(1, 1 + pages.length);
  publish(1, 3);
  for (const page of pages) await until(page, 'noted.updates.length === 3');

  for (let last = 3; pages.length > 2; ) {
    await pages.shift()?.close();
    publish(last + 1, last + 2);
    last += 2;
    for (const page of pages) await until(page, `noted.updates.length >= ${last}`);
    // The rooms are not shared.
    await countAre(1, 1 + pages.length);
  }
  for (const page of pages) {
    assert.deepEqual(await page.evaluate('[noted.updates, noted.gaps]'), [numbers(1, 9), []]);
  }
});

test('what is in the outbox survives a reload of the page, and is executed once', async () => {
  const page = await open({ outbox: 'of ada' });
  await ready(page);
  await page.evaluate('say("before")');
  await until(page, 'noted.confirmed.length === 1');
  await host.stop({ abruptly: true });
  await page.evaluate('for (const n of [1, 2, 3]) say(`n ${n}`)');
  await stores(page, 3);
  await host.run();
  // Those that went out at once were perhaps confirmed before the page is gone: either way once.
  await page.reload();
  await page.evaluate(start, { shared: false, outbox: 'of ada' });
  await ready(page);
  await stores(page, 0);
  const texts = ['before', 'n 1', 'n 2', 'n 3'];
  assert.deepEqual([...host.contract.executed.keys()], texts);
  for (const text of texts) assert.equal(host.contract.executed.get(text), 1, text);
});

/** Runs in the page: writes while the browser's database has much else to do, and goes. */
async function writeWhileBusyAndGo() {
  const opening = indexedDB.open('much else', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('table', { autoIncrement: true });
  await new Promise((resolve) => (opening.onsuccess = resolve));
  const table = opening.result.transaction('table', 'readwrite').objectStore('table');
  for (let i = 0; i < 200; i += 1) table.put(new Uint8Array(1 << 20));
  // @ts-ignore
  say('last words');
  location.reload();
}

test('what was written just before the page went is in the outbox, however busy the browser is', async () => {
  const page = await open({ outbox: 'of ada' });
  await ready(page);
  await page.evaluate('say("before")');
  await until(page, 'noted.confirmed.length === 1');
  await stores(page, 0);
  await page.evaluate('chat.disconnect()');
  const reloaded = page.waitForEvent('load');
  // The page may be gone before this is answered.
  await page.evaluate(writeWhileBusyAndGo).catch(() => {});
  await reloaded;
  await page.evaluate(start, { shared: false, outbox: 'of ada' });
  await until(page, 'noted.confirmed.length === 1');
  assert.deepEqual([...host.contract.executed.keys()], ['before', 'last words']);
});

test('a page that was left before its messages went out sends them when it is opened again', async () => {
  const page = await open({ outbox: 'of ada' });
  await ready(page);
  await page.evaluate(() => {
    // @ts-ignore
    chat.disconnect();
    // @ts-ignore
    for (const n of [1, 2, 3]) say(`n ${n}`);
  });
  await stores(page, 3);
  await page.close();
  const again = await open({ outbox: 'of ada' });
  await until(again, 'noted.confirmed.length === 3');
  const { confirmed, said } = /** @type {any} */ (await noted(again));
  assert.deepEqual(confirmed, ['n 1', 'n 2', 'n 3']);
  assert.deepEqual(said, ['n 1', 'n 2', 'n 3']);
});

test('a client lives in a worker too, and finds the server that its page came from', async () => {
  const page = await context.newPage();
  await page.goto(host.page);
  await page.evaluate((origin) => {
    const code = `
      import { LiveClient } from '${origin}/client/index.js';
      const live = new LiveClient('ada');
      const news = live.subscribe('news');
      news.on('state', (state) => postMessage(state));
      news.on('update', ({ data }) => postMessage(data));
      live.connect();
    `;
    const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
    const heard = /** @type {unknown[]} */ ([]);
    Object.assign(window, { heard });
    new Worker(url, { type: 'module' }).onmessage = ({ data }) => heard.push(data);
  }, host.page);
  await until(page, 'heard.includes("subscribed")');
  publish(1, 2);
  await until(page, 'heard.length === 3');
  assert.deepEqual(await page.evaluate('heard'), ['subscribed', 1, 2]);
});
