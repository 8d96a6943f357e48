import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { LiveClient, Presence } from '../src/index.js';
import { sharedWebSocket } from '../src/shared-socket.js';
import { ContractServer, tokenBucket } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { Reader } from './kit/reader.js';
import { seeded } from './kit/schedule.js';
import { Browser } from './kit/tabs.js';
import { record, settled, withoutIds } from './kit/world.js';

/** A browser whose tabs lead to one server. */
function tabs(server = new ContractServer(), w = linkedWorld(server)) {
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
    const clock = { timers: w.clock.timers, now: w.clock.now };
    const WebSocket = sharedWebSocket('live', { ...tab.platform, ...clock });
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

  test('are one device, which is none of them and stays when one goes', async () => {
    const { w, settle, open } = tabs();
    const leader = open();
    await settle();
    open();
    await settle();
    leader.kill();
    for (let n = 0; n < 3; n += 1) {
      await settle();
      w.clock.advance(1_000);
    }
    const subscribed = w.links.flatMap(({ sent }) => sent.filter(({ type }) => type === 'subscribe'));
    assert.equal(subscribed.length, 2);
    for (const message of subscribed) assert.ok(!('device' in message));
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

  test('lose a channel together that the server takes away', async () => {
    const { server, settle, open } = tabs();
    const both = [open(), open()];
    await settle();
    server.kick('ada', 'news');
    await settle();
    for (const { subscription } of both) assert.equal(subscription.state, 'unsubscribed');
    const again = both[0].live.subscribe('news');
    await settle();
    assert.equal(again.state, 'subscribed');
    assert.equal(server.subscribers('news'), 1);
  });

  test('all have the channels that the server subscribes to, also the later ones', async () => {
    const { server, settle, open } = tabs(new ContractServer({ own: (id) => [`user:${id}`] }));
    const joined = [];
    const listen = ({ live }) =>
      live.on('joined', (inbox) => joined.push(record(inbox, 'update')));
    listen(open());
    await settle();
    server.publish('user:ada', 1);
    await settle();
    listen(open());
    await settle();
    server.publish('user:ada', 2);
    await settle();
    assert.deepEqual(joined.map((updates) => updates.map(({ data }) => data)), [[1, 2], [2]]);
  });

  test('are asked together what the server wants to know, and one of those that can answers', async () => {
    const { server, settle, open } = tabs();
    const [, second, third] = [open(), open(), open()];
    await settle();
    second.live.handle('name', () => 'second');
    third.live.handle('name', () => 'third');
    server.ask('ada', 'name');
    server.ask('ada', 'age');
    await settle();
    assert.deepEqual(server.responses.map(({ id, data, error }) => [id, data ?? error.code]).sort(), [
      ['1', 'second'],
      ['2', 'no-handler'],
    ]);
  });

  test('are told a gap where one with an older position costs the others what nobody has any more', async () => {
    const { server, w, browser, settle, open } = tabs();
    const first = open();
    await settle();
    server.publish('news', 1);
    server.publish('news', 2);
    await settle();
    const { live } = open('ada', 'other');
    live.subscribe('news', { since: { epoch: 'e1', offset: 0 } });
    for (let n = 0; server.subscribers('news') > 0 && n < 1_000; n += 1) {
      await settled();
      if (!browser.step()) w.step();
    }
    server.publish('news', 3);
    server.trim('news', 0);
    await settle();
    server.publish('news', 4);
    await settle();
    assert.deepEqual(first.data(), [1, 2, 4]);
    assert.deepEqual(first.gaps.map(({ reason, from, to }) => [reason, from, to]), [['slow', 3, 3]]);
  });

  test('are each told the initial state of a channel, which costs the others nothing', async () => {
    const server = new ContractServer({ initial: () => 'all' });
    const { settle, open, w, browser } = tabs(server);
    const initials = [];
    const begin = () => {
      const tab = open();
      initials.push(record(tab.subscription, 'initial'));
      return tab;
    };
    const first = begin();
    await settle();
    server.publish('news', 1);
    await settle();
    const second = begin();
    // Published while the channel is left for the sake of the second, and asked for anew.
    for (let n = 0; server.subscribers('news') > 0 && n < 1_000; n += 1) {
      await settled();
      if (!browser.step()) w.step();
    }
    assert.equal(server.subscribers('news'), 0);
    server.publish('news', 2);
    await settle();
    server.publish('news', 3);
    await settle();
    assert.deepEqual(initials.map((events) => events.map(({ data }) => data)), [['all'], ['all']]);
    assert.deepEqual(first.data(), [1, 2, 3]);
    assert.deepEqual(second.data(), [3]);
    assert.deepEqual([...first.gaps, ...second.gaps], []);
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

describe('tabs that listen to more channels than one connection may have', () => {
  const names = (prefix, n) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
  const states = (subscriptions) => [...new Set(subscriptions.map(({ state }) => state))];

  test('say who they are on each of them, once, where the token is the first message', async () => {
    const world = tabs(new ContractServer({ channelLimit: 7 }));
    const { w, settle } = world;
    const open = (channel) => world.open('ada', channel, { tokenIn: 'message' });
    const [one, two] = [open('a0'), open('b0')];
    await settle();
    const all = [
      ...names('a', 10).map((name) => one.live.subscribe(name)),
      ...names('b', 10).map((name) => two.live.subscribe(name)),
    ];
    await settle();
    assert.deepEqual(states(all), ['subscribed']);
    assert.equal(world.server.connections, 3);
    for (const { url, sent } of w.alive()) {
      assert.match(url, /\?auth=message$/);
      assert.deepEqual(sent[0], { type: 'auth', token: 'ada' });
      assert.equal(sent.filter(({ type }) => type === 'auth').length, 1);
    }
  });

  for (const [how, server, each, lanes] of [
    ['a hundred', () => new ContractServer({ codes: false }), 60, 2],
    ['as many as the server says', () => new ContractServer({ channelLimit: 7 }), 10, 3],
  ]) {
    test(`share as many connections as it takes, for ${how} each`, async () => {
      const world = tabs(server());
      const { settle } = world;
      const [one, two] = [world.open('ada', 'a0'), world.open('ada', 'b0')];
      await settle();
      const all = [
        ...names('a', each).map((name) => one.live.subscribe(name)),
        ...names('b', each).map((name) => two.live.subscribe(name)),
      ];
      const heard = all.map((subscription) => record(subscription, 'update'));
      await settle();
      assert.deepEqual(states(all), ['subscribed']);
      assert.equal(world.server.connections, lanes);
      for (const { channel } of all) world.server.publish(channel, channel);
      await settle();
      assert.deepEqual(heard.map((updates) => updates.map(({ data }) => data)), all.map(({ channel }) => [channel]));

      // What belongs to a channel goes to the connection that has it.
      const presence = new Presence(two.live, `b${each - 1}`);
      await settle();
      presence.update({ here: true });
      await settle();
      assert.deepEqual(presence.members[0].devices.map(({ data }) => data), [{ here: true }]);

      for (const subscription of all.slice(0, -1)) subscription.unsubscribe();
      const others = names('c', each).map((name) => one.live.subscribe(name));
      await settle();
      assert.deepEqual(states(others), ['subscribed']);
      assert.ok(world.server.connections <= lanes, 'room that became free is used');

      // When one of the connections is lost, all come back from where they stood.
      world.w.alive().at(-1).break();
      world.server.publish('c0', 'missed');
      const missed = record(others[0], 'update');
      for (let i = 0; i < 5; i += 1) {
        await settle();
        world.w.clock.advance(1_000);
      }
      await settle();
      assert.deepEqual(states(others), ['subscribed']);
      assert.deepEqual(missed.map(({ data }) => data), ['missed']);
    });
  }

  test('are told that it is too many where no further connection is to be had', async () => {
    const server = new ContractServer({ channelLimit: 2 });
    const w = linkedWorld(server);
    const { WebSocket } = w.options;
    let opened = 0;
    w.options.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        opened += 1;
        this.refused = opened > 1;
      }
      open() {
        if (this.refused) this.break();
        else super.open();
      }
    };
    const world = tabs(server, w);
    const tab = world.open('ada', 'a');
    await world.settle();
    const more = ['b', 'c'].map((name) => tab.live.subscribe(name));
    const refused = record(more[1], 'refused');
    await world.settle();
    assert.deepEqual(more.map(({ state }) => state), ['subscribed', 'refused']);
    assert.equal(refused[0].refusal, 'too-many-channels');
    assert.equal(tab.live.state, 'connected');
  });

  test('close the further connections of which nothing is wanted any more', async () => {
    const world = tabs(new ContractServer({ channelLimit: 1 }));
    const tab = world.open('ada', 'a');
    await world.settle();
    const more = ['b', 'c'].map((name) => tab.live.subscribe(name));
    await world.settle();
    assert.equal(world.server.connections, 3);
    more[0].unsubscribe();
    await world.settle();
    assert.equal(world.server.connections, 2);
    assert.deepEqual([tab.live.state, more[1].state], ['connected', 'subscribed']);
  });

  test('take a new token to all of them', async () => {
    const world = tabs(new ContractServer({ channelLimit: 1 }));
    const tab = world.open('ada', 'a');
    await world.settle();
    tab.live.subscribe('b');
    await world.settle();
    const heard = record(tab.live, 'message');
    const reply = tab.live.request({ type: 'refresh', token: 'ada.2' });
    await world.settle();
    assert.equal((await reply).type, 'refreshed');
    assert.deepEqual(world.w.links.map(({ sent }) => sent.filter(({ type }) => type === 'refresh').length), [1, 1]);
    assert.equal(heard.length, 1);
  });
});

describe('a line that tabs share and that dies silently', () => {
  /** Lets a minute pass, in which nothing arrives over some of the connections. */
  async function pass(world, seconds, silent) {
    for (let second = 0; second < seconds; second += 1) {
      world.w.clock.advance(1_000);
      do {
        for (const link of world.w.links) {
          if (!silent(link)) for (const wire of link.wires()) wire();
        }
        await settled();
      } while (world.browser.step() || world.w.links.some((link) => !silent(link) && link.wires().length > 0));
    }
  }

  test('is left by all within a minute, and none comes back to it', async () => {
    const world = tabs();
    const [one, two] = [world.open(), world.open()];
    await world.settle();
    // They do not ask at the same moment.
    await pass(world, 7, () => false);
    two.live.close();
    two.live.connect();
    await pass(world, 3, () => false);
    const [dead] = world.w.links;
    const states = [one, two].map(({ live }) => record(live, 'state'));
    await pass(world, 60, (link) => link === dead);
    for (const [index, { live }] of [one, two].entries()) {
      assert.notEqual(states[index].length, 0);
      assert.equal(live.state, 'connected');
    }
    world.server.publish('news', 'on the new line');
    await pass(world, 1, (link) => link === dead);
    assert.deepEqual([one, two].map(({ data }) => data().at(-1)), ['on the new line', 'on the new line']);
  });

  test('and is a further one is found within a minute', async () => {
    const world = tabs(new ContractServer({ channelLimit: 1 }));
    const tab = world.open('ada', 'a');
    await world.settle();
    const further = tab.live.subscribe('b');
    const heard = record(further, 'update');
    await world.settle();
    const [, dead] = world.w.links;
    await pass(world, 60, (link) => link === dead);
    world.server.publish('b', 1);
    await pass(world, 1, (link) => link === dead);
    assert.equal(heard.length, 1);
  });
});

test('tabs whose messages are dropped, as there are too many, have what they want in the end', async () => {
  const clock = { now: () => 0 };
  const server = new ContractServer({ busy: tokenBucket({ now: () => clock.now() }, 20, 100) });
  const world = tabs(server);
  clock.now = world.w.clock.now;
  const rest = async () => {
    for (let i = 0; i < 300; i += 1) {
      await world.settle();
      world.w.clock.advance(100);
    }
    await world.settle();
  };
  const [one, two] = [world.open('ada', 'x'), world.open('ada', 'y')];
  await rest();
  const channels = (prefix) => Array.from({ length: 45 }, (_, i) => `${prefix}${i}`);
  for (const name of channels('old')) [one, two].forEach(({ live }) => live.subscribe(name));
  await rest();
  for (const name of channels('old')) [one, two].forEach(({ live }) => live.unsubscribe(name));
  const wanted = channels('new').map((name) => one.live.subscribe(name));
  two.kill();
  await rest();
  assert.deepEqual([...new Set(wanted.map(({ state }) => state))], ['subscribed']);
  assert.deepEqual(server.channels.sort(), [...channels('new'), 'x'].sort());
});

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: Number(process.env.SEEDS ?? 300) }, (_, i) => i + 1);

async function play(seed) {
  const { random, below, pick } = seeded(seed);
  const has = { channels: below(2) === 0, silence: below(2) === 0, drops: below(3) === 0 };
  const clock = { now: () => 0 };
  const server0 = new ContractServer({
    history: 1 + below(30),
    recoveryLimit: 1 + below(20),
    channelLimit: has.channels ? 2 + below(2) : 100,
    busy: has.drops ? tokenBucket({ now: () => clock.now() }, 4 + below(10), 20 + below(80)) : null,
  });
  const { server, w, browser, settle, open } = tabs(server0);
  clock.now = w.clock.now;
  const muted = new Set();
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
    all.push({ ...tab, reader, more: new Map() });
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
    ...(has.channels && {
      more: () => {
        const { live, more } = pick(all);
        const name = `c${below(5)}`;
        if (more.has(name)) return;
        const subscription = live.subscribe(name);
        more.set(name, { subscription, updates: record(subscription, 'update') });
      },
      less: () => {
        const { live, more } = pick(all);
        const [name] = more.keys();
        live.unsubscribe(name);
        more.delete(name);
      },
    }),
    ...(has.silence && {
      mute: () => {
        const link = pick(w.alive().filter(({ readyState }) => readyState === 1));
        if (!link || muted.size > 2) return;
        link.silent = true;
        muted.add(link);
      },
      minute: async () => {
        // A tab that is just connecting has a minute from then on.
        for (let second = 0; second < 75; second += 1) {
          w.clock.advance(1_000);
          await settle();
        }
        // Nobody is on a line that was silent for so long.
        for (const link of muted) assert.notEqual(link.readyState, 1, 'a silent line is held to be alive');
      },
    }),
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
    await actions[pick(names)]();
    await settled();
  }
  for (let calm = 0; calm < (has.silence ? 120 : 30); calm += 1) {
    await settle();
    w.clock.advance(1_000);
  }
  await settle();
  // What was silent is found by the server too.
  for (const link of muted) Object.assign(link, { silent: false }).break();
  await settle();
  actions.publish();
  await settle();
  const channels = new Set(['news', ...all.flatMap(({ more }) => [...more.keys()])]);
  if (has.channels) assert.ok(server.connections <= channels.size, 'the tabs share their connections');
  else assert.equal(server.connections, 1, 'the tabs share a connection');
  const heard = all.flatMap(({ more }) => [...more].map(([name, { subscription, updates }]) => ({ name, subscription, before: updates.length, updates })));
  for (const name of channels) if (name !== 'news') server.publish(name, name);
  await settle();
  for (const { name, subscription, before, updates } of heard) {
    assert.equal(subscription.state, 'subscribed', `${name} is ${subscription.state}`);
    assert.deepEqual(updates.slice(before).map(({ data }) => data), [name]);
  }
  assert.deepEqual(server.channelsOf('ada', null).sort(), [...channels].sort());
  for (const { subscription, reader } of all) {
    assert.equal(subscription.state, 'subscribed');
    reader.whole(subscription.position, top);
  }
}

test(`tabs come and go in ${SEEDS.length} schedules, and lose nothing and double nothing`, async () => {
  const failed = [];
  for (const seed of SEEDS) {
    try {
      await play(seed);
    } catch (error) {
      error.message = `SEED=${seed} replays it: ${error.message}`;
      // To see how many find a fault, and not the first one alone.
      if (!process.env.HUNT) throw error;
      failed.push(`${seed}: ${error.message.split('\n')[0].split('replays it: ')[1]}`);
    }
  }
  assert.deepEqual(failed, []);
});
