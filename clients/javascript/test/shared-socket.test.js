import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { LiveClient } from '../src/index.js';
import { sharedWebSocket } from '../src/shared-socket.js';
import { ContractServer } from './kit/contract-server.js';
import { linkedWorld } from './kit/linked-world.js';
import { Reader } from './kit/reader.js';
import { seeded } from './kit/schedule.js';
import { Browser } from './kit/tabs.js';
import { record, settled, withoutIds } from './kit/world.js';

/** A browser whose tabs lead to one server. */
function tabs(server = new ContractServer()) {
  const w = linkedWorld(server);
  const browser = new Browser();
  const settle = async () => {
    do {
      w.settle();
      // Locks and promises.
      await settled();
    } while (browser.step() || w.step());
  };
  /** A tab with a client that has a subscription. */
  const open = (token = 'ada', channel = 'news', options = {}) => {
    const tab = browser.open(w.options.WebSocket);
    const WebSocket = sharedWebSocket('live', tab.platform);
    const live = new LiveClient(token, { ...w.options, ...options, WebSocket });
    const subscription = live.subscribe(channel);
    const updates = record(subscription, 'update');
    const gaps = record(subscription, 'gap');
    live.connect();
    return { ...tab, live, subscription, updates, gaps, data: () => updates.map(({ data }) => data) };
  };
  return { w, server, browser, settle, open };
}

describe('tabs that share a connection', () => {
  test('have one, with one subscription, and all hear', async () => {
    const { server, settle, open } = tabs();
    const five = [];
    for (let i = 0; i < 5; i += 1) {
      five.push(open());
      await settle();
    }
    assert.equal(server.connections, 1);
    server.publish('news', 'hello');
    await settle();
    for (const { data, subscription } of five) {
      assert.deepEqual(data(), ['hello']);
      assert.deepEqual(subscription.position, { epoch: 'e1', offset: 1 });
    }
  });

  test('go on with another leader where they stood', async () => {
    const { server, w, settle, open } = tabs();
    const five = Array.from({ length: 5 }, () => open());
    await settle();
    server.publish('news', 1);
    await settle();
    five[0].kill();
    server.publish('news', 2);
    await settle();
    w.clock.advance(0);
    server.publish('news', 3);
    await settle();
    assert.equal(server.connections, 1);
    for (const { data, gaps, live } of five.slice(1)) {
      assert.equal(live.state, 'connected');
      assert.deepEqual(data(), [1, 2, 3]);
      assert.deepEqual(gaps, []);
    }
    assert.deepEqual(five[0].data(), [1], 'a tab that is gone hears nothing');
  });

  test('leave a channel with the last of them, and the server with the last client', async () => {
    const { server, settle, open } = tabs();
    const one = open();
    const two = open();
    await settle();
    one.subscription.unsubscribe();
    server.publish('news', 1);
    await settle();
    assert.deepEqual([one.data(), two.data()], [[], [1]]);
    two.subscription.unsubscribe();
    await settle();
    assert.equal(server.subscribers('news'), 0);
    one.live.close();
    await settle();
    assert.equal(server.connections, 1);
    two.live.close();
    await settle();
    assert.equal(server.connections, 0);
  });

  test('are left by one that is closed without a word', async () => {
    const { server, settle, open } = tabs();
    open();
    const two = open('ada', 'other');
    await settle();
    assert.equal(server.subscribers('other'), 1);
    two.kill();
    await settle();
    assert.equal(server.subscribers('other'), 0);
  });

  test('get the answers to their own requests, and the refusals of their own channels', async () => {
    const { w, settle, open } = tabs();
    const one = open();
    const two = open('ada', 'secret');
    await settle();
    assert.equal(two.subscription.state, 'refused');
    assert.equal(one.subscription.state, 'subscribed');
    const heard = record(two.live, 'message');
    const reply = one.live.request({ type: 'publish', channel: 'x', data: 'y' });
    await settle();
    assert.equal((await reply).type, 'ack');
    assert.deepEqual(heard, []);
    assert.equal(w.alive().length, 1);
  });

  test('end together, with the code of the server', async () => {
    const { server, settle, open } = tabs();
    const two = [open(), open()];
    await settle();
    const states = two.map(({ live }) => record(live, 'state'));
    server.drain(() => 700);
    await settle();
    for (const [change] of states) {
      assert.equal(change.reason, 'server-restart');
      assert.equal(change.closeReason, 'reconnect after 700 ms');
    }
  });

  test('of which one comes with an older position bring nobody a duplicate', async () => {
    const { server, w, settle, open } = tabs();
    const one = open();
    await settle();
    for (const n of [1, 2, 3]) server.publish('news', n);
    await settle();
    const tab = open('ada', 'none');
    const old = tab.live.subscribe('news', { since: { epoch: 'e1', offset: 1 } });
    const data = record(old, 'update');
    await settle();
    server.publish('news', 4);
    await settle();
    assert.deepEqual(data.map(({ offset }) => offset), [2, 3, 4]);
    assert.deepEqual(one.data(), [1, 2, 3, 4]);
    assert.deepEqual(one.gaps, []);
    assert.deepEqual(
      withoutIds(w.links[0].sent).filter(({ channel }) => channel === 'news').map(({ type }) => type),
      ['subscribe', 'unsubscribe', 'subscribe'],
    );
  });

  test('do not share a room', async () => {
    const { w, browser } = tabs();
    const { platform } = browser.open(w.options.WebSocket);
    const Shared = sharedWebSocket('live', platform);
    assert.ok(new Shared('ws://localhost:3000/chat/hall') instanceof platform.WebSocket);
  });

  test('is not possible without locks or channels: then each has its own', () => {
    const { w, browser } = tabs();
    const { platform } = browser.open(w.options.WebSocket);
    for (const missing of ['locks', 'BroadcastChannel']) {
      assert.equal(sharedWebSocket('live', { ...platform, [missing]: null }), platform.WebSocket);
    }
  });
});

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 300 }, (_, i) => i + 1);

async function play(seed) {
  const { random, below, pick } = seeded(seed);
  const { server, w, browser, settle, open } = tabs(new ContractServer({ history: 1 + below(30), recoveryLimit: 1 + below(20) }));
  let top = 0;
  let all = [];
  const enter = () => {
    const tab = open('ada', 'news', { random });
    const reader = new Reader();
    tab.subscription.on('update', ({ data }) => reader.publication(data));
    tab.subscription.on('gap', (gap) => {
      // Between leaving a channel and entering it from further back, others can miss something:
      // they are told.
      reader.gap(gap.reason === 'skipped' ? { ...gap, reason: 'slow' } : gap);
    });
    all.push({ ...tab, reader });
  };
  const actions = {
    enter: () => all.length < 5 && enter(),
    leave: () => {
      if (all.length < 2) return;
      const gone = pick(all);
      all = all.filter((tab) => tab !== gone);
      if (below(2)) gone.live.close();
      gone.kill();
    },
    publish: () => server.publish('news', `e1/${(top += 1)}`),
    cut: () => pick(w.alive())?.break(),
    restart: () => server.cut(),
    trim: () => server.trim('news', below(3)),
    wait: () => w.clock.advance(below(2_000)),
    wires: () => {
      for (let n = below(8); n > 0; n -= 1) w.step(pick);
    },
    channels: () => {
      for (let n = below(8); n > 0; n -= 1) below(2) ? browser.step() : browser.stepLocks();
    },
  };
  const names = [...Object.keys(actions), 'publish', 'publish', 'wires', 'wires', 'channels', 'channels', 'wait'];
  enter();
  for (let step = 0; step < 150; step += 1) {
    actions[pick(names)]();
    await settled();
  }
  for (let calm = 0; calm < 30; calm += 1) {
    await settle();
    w.clock.advance(1_000);
  }
  await settle();
  actions.publish();
  await settle();
  assert.equal(server.connections, 1, 'the tabs share a connection');
  for (const { subscription, reader } of all) {
    assert.equal(subscription.state, 'subscribed');
    reader.whole(subscription.position, top);
  }
}

test(`tabs come and go in ${SEEDS.length} schedules, and lose nothing and double nothing`, async () => {
  for (const seed of SEEDS) {
    try {
      await play(seed);
    } catch (error) {
      error.message = `SEED=${seed} replays it: ${error.message}`;
      throw error;
    }
  }
});
