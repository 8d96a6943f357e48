// The inspector by itself, mounted below a path by an application of its own (`examples/operators.rs`).
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { assertAccessible } from '../support/accessible.js';
import { Visitor, launch } from '../support/browser.js';
import { ADMIN_KEY } from '../support/inspector.js';
import { Program, built } from '../support/program.js';
import { Socket } from '../support/socket.js';

const API_KEY = 'a key of the API, of thirty-two bytes and more';

let store = '';
/** @type {Program} */
let program;
let port = '';
/** @type {import('playwright-core').Browser} */
let browser;
before(async () => {
  store = await mkdtemp(path.join(tmpdir(), 'nextrush-operators-'));
  await start('0');
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await program.stop();
  await rm(store, { recursive: true });
});

/** @param {string} wanted */
async function start(wanted) {
  program = new Program(built('examples', 'operators'), [store, wanted], { API_KEY, ADMIN_KEY, METRICS_KEY: API_KEY });
  [, port = ''] = await program.line(/^listening on port (\d+)$/);
}

const origin = () => `http://localhost:${port}`;

/** @param {string} endpoint @param {object} [body] posts it */
async function api(endpoint, body) {
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
  const options = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers };
  const response = await fetch(`${origin()}/api/v1/${endpoint}`, options);
  assert.equal(response.status, 200);
  return response.json();
}

test('it works below a path, without anything from the root', async () => {
  const operator = await Visitor.arrive(browser, origin());
  /** @type {string[]} */
  const paths = [];
  operator.page.on('request', (request) => paths.push(new URL(request.url()).pathname));
  operator.page.on('websocket', (socket) => paths.push(new URL(socket.url()).pathname));
  // The address of its sockets leads to it.
  await operator.page.goto(`${origin()}/ops/inspect`);
  assert.equal(new URL(operator.page.url()).pathname, '/ops/inspect/');
  await operator.part('admin-key').fill('another key');
  await operator.page.keyboard.press('Enter');
  await operator.sees('admin-key-error', 'This is not the admin key.');
  await assertAccessible(operator, 'the way in');
  await operator.part('admin-key').fill(ADMIN_KEY);
  await operator.page.keyboard.press('Enter');
  await operator.isNow('connected', 'inspect-connection');
  await operator.part('tile-connections').filter({ hasText: /^\d/ }).waitFor();

  const client = await Socket.connect(`ws://localhost:${port}/live`);
  client.send({ type: 'subscribe', channel: 'news' });
  await operator.sees('connections', '/live');
  await operator.part('section-channels').click();
  await operator.sees('inspected-channels', 'news');
  await operator.part('tail-link').click();
  await operator.sees('tail-state', 'Following. Nothing published yet.');
  await api('publish', { channel: 'news', data: { title: 'Seen by operators' } });
  await operator.sees('tail-entry', 'Seen by operators');
  await assertAccessible(operator, 'the live tail');
  await operator.picture('mounted-inspector');

  await operator.page.reload();
  await operator.isNow('connected', 'inspect-connection');
  await operator.part('section-connections').click();
  await operator.part('connections').locator('tr', { hasText: '/live' }).getByTestId('disconnect').first().click();
  await operator.part('confirm-button').click();
  await operator.sees('toast', '1 connection was closed.');
  const outside = paths.filter((each) => each !== '/ops/inspect' && !/^\/ops\/(api\/)?inspect\//.test(each) && each !== '/ops/api/inspect');
  assert.deepEqual(outside, []);
  await operator.leave(/401/);
});

test('what was published is there after a restart, and health is told meanwhile', async () => {
  await api('publish', { channel: 'news', data: { title: 'Kept' } });
  assert.deepEqual(await (await fetch(`${origin()}/readyz`)).json(), { status: 'ok' });
  const before = await api('history?channel=news&limit=1');
  await program.stop();
  await start(port);
  assert.deepEqual(await api('history?channel=news&limit=1'), before);
  assert.deepEqual(await (await fetch(`${origin()}/healthz`)).json(), { status: 'ok' });
});
