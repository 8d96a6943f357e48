import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChatClient, LiveClient } from '../src/index.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { Reader } from './kit/reader.js';
import { seeded } from './kit/schedule.js';
import { settled } from './kit/world.js';

// Seeded schedules of everything that can go wrong between a client and a server. After each,
// every publication has arrived once and in order, or a gap was told; and no request was executed
// twice. `SEED=n node --test test/model.test.js` runs one schedule alone.

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: 1_500 }, (_, i) => i + 1);
const STEPS = 120;

async function play(seed) {
  const { random, below, pick } = seeded(seed);
  const server = new ContractServer({ epoch: 'e0', history: 1 + below(20), recoveryLimit: 1 + below(15) });
  const w = linkedWorld(server);
  let epoch = 'e0';
  const tops = { news: 0, hall: 0 };

  const options = { ...w.options, random, maxReconnectAttempts: Infinity };
  const live = new LiveClient('ada', options);
  const chat = new ChatClient('hall', 'ada', options);
  chat.handleMessage = () => {};
  const news = live.subscribe('news');
  const newsReader = new Reader();
  news.on('update', ({ data, offset }) => {
    assert.equal(data.split('/')[1], String(offset));
    newsReader.publication(data);
  });
  news.on('gap', (gap) => newsReader.gap(gap));
  const hallReader = new Reader();
  chat.on('chat-message', ({ offset }) => hallReader.publication(`${epochOf(chat)}/${offset}`));
  chat.on('gap', (gap) => hallReader.gap(gap));
  // The first one, and each that replaces what is shown, ends where the room stands.
  let hallEpoch = 'e0';
  const epochOf = () => hallEpoch;
  chat.on('message', (message) => {
    if (message.type === 'room-history') hallEpoch = message.epoch;
  });

  let recoveries = 0;
  for (const source of [news, chat]) source.on('recovered', () => (recoveries += 1));
  const requests = [];
  const ask = (promise, name) => {
    const request = { name, state: 'open' };
    promise.then(() => (request.state = 'done'), ({ code }) => (request.state = code));
    requests.push(request);
  };
  live.connect();
  chat.connect();

  const actions = {
    publish: () => server.publish('news', `${epoch}/${(tops.news += 1)}`),
    lose: () => server.lose('news', `${epoch}/${(tops.news += 1)}`),
    repeat: () => server.repeat('news'),
    say: () => {
      const text = `said ${requests.length}`;
      ask(chat.say(text), text);
    },
    move: () => {
      for (let n = below(6); n > 0; n -= 1) w.step(pick);
    },
    moveAll: () => w.settle(),
    cut: () => pick(w.alive())?.break(),
    restart: () => server.cut(),
    drain: () => server.drain(() => below(2_000)),
    trim: () => server.trim('news', below(3)),
    forget: () => {
      // A server that lost its streams was down: nobody is connected any more.
      server.cut(1006);
      epoch = `e${Number(epoch.slice(1)) + 1}`;
      server.forget(epoch);
      tops.news = 0;
    },
    wait: () => w.clock.advance(below(3_000)),
    sleep: () => w.clock.sleep(below(600_000)),
    offline: () => w.network.dispatchEvent(new Event('offline')),
    online: () => w.network.dispatchEvent(new Event('online')),
    hide: () => w.show(false),
    look: () => w.show(true),
  };
  const often = ['publish', 'publish', 'publish', 'say', 'move', 'move', 'move', 'move', 'wait', 'wait', 'moveAll'];
  const names = [...Object.keys(actions), ...often, ...often];
  for (let step = 0; step < STEPS; step += 1) {
    actions[pick(names)]();
    await settled();
  }

  // The world comes to rest.
  actions.online();
  for (let calm = 0; calm < 40; calm += 1) {
    w.settle();
    await settled();
    w.clock.advance(1_000);
  }
  w.settle();
  await settled();
  assert.equal(live.state, 'connected');
  assert.equal(chat.state, 'connected');
  assert.equal(news.state, 'subscribed');

  // What is published now arrives, so nothing was left behind.
  actions.publish();
  const last = chat.say('the last word');
  w.settle();
  const { offset } = await last;
  newsReader.whole(news.position, tops.news);
  hallReader.whole({ epoch: hallEpoch, offset }, offset);

  for (const { name, state } of requests) {
    const times = server.executed.get(name) ?? 0;
    assert.ok(times <= 1, `"${name}" was executed ${times} times`);
    if (state === 'done') assert.equal(times, 1, `"${name}" was confirmed and not executed`);
    else assert.ok(['timeout', 'unconfirmed'].includes(state), `"${name}" is ${state}`);
  }
  live.close();
  chat.close();
  assert.equal(w.clock.pending, 0);
  return {
    events: newsReader.events + hallReader.events,
    recoveries,
    confirmed: requests.filter(({ state }) => state === 'done').length,
    requests: requests.length,
  };
}

test(`${SEEDS.length} schedules lose nothing and double nothing`, async (t) => {
  const sum = { events: 0, recoveries: 0, confirmed: 0, requests: 0 };
  for (const seed of SEEDS) {
    try {
      for (const [name, count] of Object.entries(await play(seed))) sum[name] += count;
    } catch (error) {
      error.message = `SEED=${seed} replays it: ${error.message}`;
      throw error;
    }
  }
  // Otherwise the schedules would prove little.
  assert.ok(sum.events > SEEDS.length * 10, `only ${sum.events} things happened`);
  assert.ok(sum.recoveries > SEEDS.length / 2, `only ${sum.recoveries} times recovered`);
  assert.ok(sum.confirmed > sum.requests * 0.7, `only ${sum.confirmed} of ${sum.requests} confirmed`);
  t.diagnostic(JSON.stringify(sum));
});
