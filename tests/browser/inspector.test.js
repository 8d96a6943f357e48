// The inspector of the page, against a server that is played, and against the real one.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { LOST, Visitor, launch } from '../support/browser.js';
import { ADMIN_KEY, Inspector, connection, sample } from '../support/inspector.js';
import { Server } from '../support/server.js';
import { SECRET, token } from '../support/token.js';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let browser;
/** @type {Visitor[]} */
let visitors = [];
before(async () => {
  server = await Server.start();
  browser = await launch();
});
afterEach(async () => {
  for (const { context } of visitors.splice(0)) await context.close();
});
after(async () => {
  await browser?.close();
  await server.stop();
});

const now = () => Math.floor(Date.now() / 1000);

/** The last `count` seconds of a busy server. @param {number} count */
const history = (count) => {
  // One moment for all of them, so that none is missing where a second ends meanwhile.
  const last = now();
  return Array.from({ length: count }, (_, i) => sample(last - count + 1 + i));
};

/**
 * @param {import('../support/inspector.js').Script} script
 * @param {{ address?: string, options?: import('playwright-core').BrowserContextOptions }} [how]
 */
async function open(script, { address = '/#/inspect', options } = {}) {
  const visitor = await Visitor.arrive(browser, server.page, options);
  visitors.push(visitor);
  const inspector = await Inspector.install(visitor.page, script);
  await visitor.page.goto(`${server.page}${address}`);
  return { visitor, inspector, part: (/** @type {string} */ testId) => visitor.part(testId) };
}

/** The text of each cell of a column. @param {Visitor} visitor @param {string} table @param {string} column */
const column = (visitor, table, column) => visitor.part(table).locator(`td[data-column="${column}"]`).allInnerTexts();

describe('the way in', () => {
  test('where the server has no inspector, that is said, and there is no tab', async () => {
    const { visitor, part } = await open({ access: 'none' });
    await visitor.sees('inspect-none', 'This server has no inspector');
    assert.equal(await part('tab-inspect').isVisible(), false);
    await visitor.leave(/404/);
  });

  test('a key is asked for, a wrong one refused, and nothing of it is kept', async () => {
    const { visitor, part, inspector } = await open({ access: 'key', samples: history(10) });
    await visitor.sees('inspect-key', 'Admin key');
    await part('admin-key-button').click();
    await visitor.sees('admin-key-error', 'Please enter the admin key.');
    await part('admin-key').fill('not the key');
    await visitor.page.keyboard.press('Enter');
    await visitor.sees('admin-key-error', 'This is not the admin key.');
    assert.equal(inspector.requests.includes('GET /api/inspect/metrics'), false);
    await part('admin-key').fill(ADMIN_KEY);
    await visitor.page.keyboard.press('Enter');
    await visitor.isNow('connected', 'inspect-connection');
    const stored = await visitor.page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
    assert.equal(stored.includes(ADMIN_KEY), false);
    assert.equal(await part('admin-key').inputValue(), '');

    // The ticket outlives a reload; with the ticket locked away, the key is asked for again.
    await visitor.page.reload();
    await visitor.isNow('connected', 'inspect-connection');
    await part('inspect-leave').click();
    await part('admin-key').waitFor();
    await visitor.page.reload();
    await part('admin-key').waitFor();
    await visitor.leave(/401/);
  });

  test('a ticket that ends is replaced without a word while the key is known', async () => {
    const { visitor, part, inspector } = await open({ access: 'key', samples: history(10) });
    await part('admin-key').fill(ADMIN_KEY);
    await part('admin-key-button').click();
    await visitor.isNow('connected', 'inspect-connection');
    const bought = () => inspector.requests.filter((request) => request.endsWith('/token')).length;
    assert.equal(bought(), 1);
    const isLost = await visitor.willBe(/^(?!connected$)/, 'inspect-connection');
    await inspector.revoke();
    await isLost();
    await visitor.isNow('connected', 'inspect-connection');
    assert.equal(bought(), 2);

    // After a reload only the ticket is known, and when that ends, the key is needed.
    await visitor.page.reload();
    await visitor.isNow('connected', 'inspect-connection');
    await inspector.revoke();
    await visitor.sees('admin-key-error', 'The ticket has ended.');
    await visitor.leave(/401/);
  });

  test('a server that fails is said to, and can be asked again', async () => {
    const { visitor, part, inspector } = await open({ samples: history(10), rooms: [{ room: 'lobby', members: 3 }] });
    await visitor.isNow('connected', 'inspect-connection');
    inspector.failing = 503;
    await part('section-rooms').click();
    await visitor.sees('table-error', 'The broker failed.');
    inspector.failing = 0;
    assert.deepEqual(await part('inspected-rooms').locator('td').first().innerText(), 'lobby');
    await part('table-error').filter({ hasNotText: /./ }).waitFor({ state: 'attached' });
    await visitor.leave(/503/);
  });
});

describe('the figures', () => {
  test('tiles and plots follow the server each second, with those before', async () => {
    const { visitor, part, inspector } = await open({ samples: history(120) });
    await visitor.isNow('connected', 'inspect-connection');
    await part('tile-in').filter({ hasNotText: '–' }).waitFor();
    const second = now() + 1;
    await inspector.tick(sample(second, { messagesIn: 1_234, messagesOut: 98_765, connections: 7, turn: { p50Us: 80, p99Us: 2_500, maxUs: 9_000 }, backlogBytes: 3 * 1024 * 1024 }));
    await visitor.sees('tile-in', '1,234');
    assert.equal(await part('tile-out').innerText(), '98,765');
    assert.equal(await part('tile-connections').innerText(), '7');
    assert.equal(await part('tile-p99').innerText(), '2.5 ms');
    assert.equal(await part('tile-backlog').innerText(), '3 MiB');
    assert.equal(await part('tile-slow').innerText(), '12 / 1');
    assert.equal(await part('plot-messages-first').innerText(), '1,234');
    const path = await part('plot-messages').locator('.plot-line').first().getAttribute('d');
    // One point for each second, the newest at the right edge.
    assert.ok((path?.match(/L/g)?.length ?? 0) >= 119, path ?? '');
    assert.match(path ?? '', /L299 [\d.]+$/);
    const words = await part('plot-messages-area').getAttribute('aria-description');
    assert.match(words ?? '', /^The last five minutes\. in: now 1,234, [\d,]+ to [\d,]+\. out: now 98,765/);
    await visitor.leave();
  });

  test('seconds that are missing stay empty', async () => {
    const samples = history(100).filter((_, i) => i < 40 || i >= 60);
    const { visitor, part } = await open({ samples });
    await part('tile-in').filter({ hasNotText: '–' }).waitFor();
    const path = await part('plot-messages').locator('.plot-line').first().getAttribute('d');
    assert.equal(path?.match(/M/g)?.length, 2);
    await visitor.leave();
  });

  test('a line that is low beside another is seen once that is put away', async () => {
    const { visitor, part } = await open({ samples: history(299).map((s) => ({ ...s, messagesIn: 4, messagesOut: 9_000 })) });
    await part('tile-in').filter({ hasNotText: '–' }).waitFor();
    const plot = part('plot-messages');
    const top = () => plot.locator('.plot-scale span').first().innerText();
    assert.equal(await top(), '10,000');
    await plot.getByRole('button', { name: 'out' }).click();
    assert.equal(await top(), '10');
    assert.equal(await plot.locator('.plot-line').nth(1).getAttribute('d'), '');
    await plot.getByRole('button', { name: 'out' }).click();
    assert.equal(await top(), '10,000');
    await visitor.leave();
  });

  test('one reads the values of any second, by pointer and by keyboard, in all plots at once', async () => {
    const { visitor, part } = await open({ samples: history(299).map((s, i) => ({ ...s, messagesIn: i })) });
    await part('tile-in').filter({ hasNotText: '–' }).waitFor();
    const area = part('plot-messages-area');
    assert.equal(await part('plot-messages-first').innerText(), '298');
    await area.focus();
    await visitor.page.keyboard.press('ArrowLeft');
    assert.equal(await part('plot-messages-first').innerText(), '297');
    await visitor.page.keyboard.press('Shift+ArrowLeft');
    assert.equal(await part('plot-messages-first').innerText(), '287');
    assert.match(await part('plot-messages').getByRole('status').innerText(), /^11 seconds ago: in 287/);
    await part('plot-turn').locator('.plot-cursor[d^="M288 "]').waitFor({ state: 'attached' });
    await visitor.page.keyboard.press('Escape');
    assert.equal(await part('plot-messages-first').innerText(), '298');
    const box = await area.boundingBox();
    assert.ok(box);
    await visitor.page.mouse.move(box.x + box.width / 2, box.y + 20);
    await part('plot-backlog').locator('.plot-cursor[d^="M150 "], .plot-cursor[d^="M149 "]').waitFor({ state: 'attached' });
    await visitor.leave();
  });
});

describe('the tables', () => {
  test('connections are listed, filtered by user, and the slow ones come first where wanted', async () => {
    const connections = Array.from({ length: 150 }, (_, i) => connection(i + 1));
    const { visitor, part } = await open({ samples: history(5), connections });
    await visitor.sees('connections-shown', '100 of 150 connections');
    await part('more-connections').click();
    await visitor.sees('connections-shown', '150 connections');
    assert.deepEqual((await column(visitor, 'connections', 'Connection')).slice(0, 3), ['0-1', '0-2', '0-3']);
    await part('slow-first').check();
    await part('connections').locator('tbody tr').first().filter({ hasText: '0-143' }).waitFor();
    assert.equal((await column(visitor, 'connections', 'Backlog'))[0], '140 KiB');

    await part('user-filter').fill('user-4');
    await visitor.sees('connections-shown', '1 connection');
    assert.deepEqual(await column(visitor, 'connections', 'User'), ['user-4']);
    await part('user-filter').fill('nobody');
    await visitor.sees('connections-empty', 'Nobody with the id “nobody” is connected.');
    await visitor.leave();
  });

  test('a connection, or all of a user, is disconnected after a question', async () => {
    const connections = [connection(1), connection(2), connection(3, { user: { id: 'user-2', email: 'user-2@example.com' } })];
    const { visitor, part, inspector } = await open({ samples: history(5), connections });
    const row = (/** @type {string} */ id) => part('connections').locator(`tr[data-key="${id}"]`);
    await row('0-1').getByTestId('disconnect').click();
    await visitor.sees('confirm-title', 'Close this connection?');
    await visitor.page.keyboard.press('Escape');
    assert.deepEqual(inspector.disconnected, []);

    await row('0-2').getByTestId('disconnect-user').click();
    await visitor.sees('confirm-title', 'Disconnect user-2@example.com?');
    await part('confirm-button').click();
    await visitor.sees('toast', '2 connections were closed.');
    await visitor.sees('connections-shown', '1 connection');
    assert.deepEqual(inspector.disconnected, [{ userId: 'user-2' }]);

    await row('0-1').getByTestId('disconnect').click();
    await part('confirm-button').click();
    await visitor.sees('connections-empty', 'Nobody is connected.');
    assert.deepEqual(inspector.disconnected.at(-1), { connectionId: '0-1' });
    await visitor.leave();
  });

  test('rooms and channels are listed, and found by a part of their names', async () => {
    const rooms = [{ room: 'lobby', members: 120 }, { room: 'إعلانات', members: 4 }];
    const channels = [{ channel: 'posts', subscribers: 9 }, { channel: 'post-7', subscribers: 1 }];
    const { visitor, part } = await open({ samples: history(5), rooms, channels }, { address: '/#/inspect/rooms' });
    await visitor.sees('rooms-shown', '2 rooms');
    await part('room-filter').fill('lob');
    await visitor.sees('rooms-shown', '1 room');
    assert.deepEqual(await column(visitor, 'inspected-rooms', 'Room'), ['lobby']);
    await part('section-channels').click();
    await visitor.sees('channels-shown', '2 channels');
    assert.deepEqual(await column(visitor, 'inspected-channels', 'Subscribers'), ['9', '1']);
    await visitor.leave();
  });

  test('of several nodes one sees all together, or one of them', async () => {
    const nodes = ['web-1', 'web-2'];
    const samples = history(5).flatMap((s) => nodes.map((node, i) => ({ ...s, node, connections: 10 * (i + 1) })));
    const connections = [connection(1, { node: 'web-1' }), connection(1, { node: 'web-2' }), connection(2, { node: 'web-2' })];
    const { visitor, part, inspector } = await open({ samples, connections });
    await visitor.sees('tile-connections', '30');
    await visitor.sees('connections-shown', '3 connections');
    const choice = part('inspect-node');
    assert.deepEqual(await choice.locator('option').allInnerTexts(), ['All nodes', ...nodes]);
    await choice.selectOption('web-2');
    await visitor.sees('tile-connections', '20');
    await visitor.sees('connections-shown', '2 connections');
    assert.deepEqual(await column(visitor, 'connections', 'Connection'), ['web-2 0-1', 'web-2 0-2']);
    // The same id is another connection on the other node.
    await part('connections').locator('tr[data-key="web-2 0-1"]').getByTestId('disconnect').click();
    await part('confirm-button').click();
    await visitor.sees('toast', 'closed');
    assert.deepEqual(inspector.disconnected, [{ connectionId: '0-1', node: 'web-2' }]);
    await choice.selectOption('');
    const second = now() + 1;
    await inspector.tick(sample(second, { node: 'web-2', connections: 20 }));
    await inspector.tick(sample(second, { node: 'web-1', connections: 1 }));
    await visitor.sees('tile-connections', '21');
    await visitor.leave();
  });

  test('where there is one node, there is no choice', async () => {
    const { visitor, part } = await open({ samples: history(5).map((s) => ({ ...s, node: 'web-1' })), connections: [connection(1, { node: 'web-1' })] });
    await visitor.sees('connections-shown', '1 connection');
    assert.equal(await part('inspect-nodes').isVisible(), false);
    assert.deepEqual(await column(visitor, 'connections', 'Connection'), ['0-1']);
    await visitor.leave();
  });

  test('while it is paused nothing moves, and afterwards it is up to date', async () => {
    const { visitor, part, inspector } = await open({ samples: history(5) });
    await part('tile-in').filter({ hasNotText: '–' }).waitFor();
    await part('inspect-pause').click();
    const before = await part('tile-in').innerText();
    await inspector.tick(sample(now() + 1, { messagesIn: 4_321 }));
    assert.equal(await part('tile-in').innerText(), before);
    await part('inspect-pause').click();
    await visitor.sees('tile-in', '4,321');
    await visitor.leave();
  });
});

describe('the live tail', () => {
  test('one follows a channel, opens what was published, pauses and stops', async () => {
    const channels = [{ channel: 'posts', subscribers: 9 }];
    const { visitor, part, inspector } = await open({ samples: history(5), channels }, { address: '/#/inspect/channels' });
    await part('tail-link').click();
    await visitor.sees('tail-state', 'Following. Nothing published yet.');
    inspector.publish('posts', { title: '<b>bold</b>', n: 1 }, 1);
    inspector.publish('other', 'not this', 1);
    await visitor.sees('tail-state', 'Following: 1 published');
    await part('tail-entry').click();
    assert.equal(await part('tail-entry').locator('pre').innerText(), '{\n  "title": "<b>bold</b>",\n  "n": 1\n}');
    assert.equal(await part('tail-entries').locator('b').count(), 0);

    await part('tail-pause').click();
    inspector.publish('posts', 2, 2);
    await visitor.sees('tail-state', 'paused with 1 waiting');
    assert.equal(await part('tail-entry').count(), 1);
    await part('tail-pause').click();
    inspector.publish('posts', 5, 5);
    await visitor.sees('tail-gap', '2 publications were missed here');
    assert.equal(await part('tail-entry').count(), 3);
    await part('tail-button').click();
    await visitor.sees('tail-state', 'Stopped after 3');
    await part('tail-button').click();
    await visitor.sees('tail-state', 'Following. Nothing published yet.');
    await visitor.leave();
  });

  test('what a busy channel says is bounded on the screen', async () => {
    const { visitor, part, inspector } = await open({ samples: history(5) }, { address: '/#/inspect/tail/posts' });
    await visitor.sees('tail-state', 'Following. Nothing published yet.');
    for (let n = 1; n <= 620; n += 1) inspector.publish('posts', { n }, n);
    await visitor.sees('tail-state', 'Following: 620 published');
    assert.equal(await part('tail-entry').count(), 500);
    assert.equal(await part('tail-entry').first().getAttribute('data-offset'), '121');
    await visitor.leave();
  });
});

describe('with the real server', () => {
  /** @type {Server} */
  let real;
  before(async () => {
    real = await Server.startDevelopment({ env: { JWT_SECRET: SECRET } });
  });
  after(() => real.stop());

  /** @param {string} name @param {string} address */
  async function enter(name, address) {
    const visitor = await Visitor.arrive(browser, real.page);
    visitors.push(visitor);
    await visitor.page.goto(`${real.page}${address}`);
    await visitor.part('sign-in-name').fill(name);
    await visitor.part('sign-in-button').click();
    return visitor;
  }

  test('an operator sees who is connected and what is said, and ends it', async () => {
    const bob = await enter('Bob', '/#/chat/hall');
    await bob.isMember();
    const ops = await enter('Ops', '/#/live');
    await ops.hasPosts();
    await ops.part('tab-inspect').click();
    await ops.isNow('connected', 'inspect-connection');
    // Each of the two shares one connection for posts; Bob has one for his room.
    await ops.sees('connections-shown', /^[34] connections$/);
    await ops.part('tile-connections').filter({ hasText: /^[34]$/ }).waitFor();
    await ops.part('user-filter').fill('bob');
    await ops.sees('connections-shown', '2 connections');
    const endpoints = await column(ops, 'connections', 'Endpoint');
    assert.deepEqual(endpoints.sort(), ['/chat/:roomId', '/live'].sort());
    const isHeard = ops.page.waitForFunction(() => Number(document.querySelector('[data-testid="tile-in"]')?.textContent) > 0);
    // A figure is of one second, and gone with the next: it is said until it was seen.
    let isSeen = false;
    const seen = isHeard.finally(() => (isSeen = true));
    while (!isSeen) {
      await bob.part('message-input').fill('Is anybody there?');
      await bob.part('send-button').click();
    }
    await seen;

    await ops.part('section-rooms').click();
    await ops.sees('rooms-shown', '1 room');
    assert.deepEqual(await column(ops, 'inspected-rooms', 'Room'), ['hall']);
    await ops.part('section-channels').click();
    await ops.sees('inspected-channels', 'posts');

    await ops.page.goto(`${real.page}/#/inspect/tail/posts`);
    await ops.sees('tail-state', 'Following');
    await real.request('POST', '/api/posts', { token: token('eve'), body: { title: 'Seen by operators' } });
    await ops.sees('tail-entry', 'Seen by operators');

    await ops.part('section-connections').click();
    await ops.part('connections').locator('tr').filter({ hasText: '/chat' }).getByTestId('disconnect').click();
    await ops.part('confirm-button').click();
    await ops.sees('toast', '1 connection was closed.');
    await ops.leave();
  });

  test('the key of the command line opens it, and nothing else does', async () => {
    const guarded = await Server.start({ args: ['--admin-key', ADMIN_KEY] });
    try {
      const ops = await Visitor.arrive(browser, guarded.page);
      visitors.push(ops);
      await ops.page.goto(`${guarded.page}/#/inspect`);
      await ops.part('admin-key').fill(token('ada'));
      await ops.page.keyboard.press('Enter');
      await ops.sees('admin-key-error', 'This is not the admin key.');
      await ops.part('admin-key').fill(ADMIN_KEY);
      await ops.page.keyboard.press('Enter');
      await ops.isNow('connected', 'inspect-connection');
      await ops.part('tile-connections').filter({ hasText: '1' }).waitFor();
      // It may be back before the restart is known to be done.
      const isLost = await ops.willBe(/^(?!connected$)/, 'inspect-connection');
      await guarded.restart();
      await isLost();
      // Another process, with the same key: a ticket of the one before holds, and where the client
      // asks for the reason of a failed handshake the server is back, and wants an upgrade.
      await ops.isNow('connected', 'inspect-connection');
      await ops.leave(new RegExp(`401|${LOST.source}`));
    } finally {
      await guarded.stop();
    }
  });
});

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [1280, 390]) {
    test(`it fits ${width} pixels, also in ${colorScheme}`, async () => {
      const connections = Array.from({ length: 30 }, (_, i) => connection(i + 1));
      connections[3] = connection(4, { user: { id: 4, email: `${'a-very-long-name'.repeat(8)}@example.com` } });
      const options = { colorScheme, viewport: { width, height: 900 } };
      const { visitor } = await open({ samples: history(300), connections }, { options });
      await visitor.sees('connections-shown', '30 connections');
      const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide}`);
      await visitor.picture(`inspect-${colorScheme}-${width}`);
      await visitor.leave();
    });
  }
}
