import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChatClient, Client, LiveClient, Outbox } from '../src/index.js';
import { ContractServer, tokenBucket } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { memoryStore } from './kit/memory-store.js';
import { seeded } from './kit/schedule.js';
import { settled } from './kit/world.js';

// Seeded schedules of what nobody plans for: lines that die silently, messages that are dropped,
// refusals, tokens that expire in a row, clocks that jump, stores that fail, requests that cannot be
// said or are too large, several rooms and users on one outbox. Each seed has some of these troubles.
// `SEED=n node --test test/trouble.test.js` runs one schedule alone.

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: Number(process.env.SEEDS ?? 400) }, (_, i) => i + 1);
const STEPS = 80;
const LIMIT = 2_000;
const ROOMS = ['hall', 'den'];
const USERS = ['ada', 7];
const CHANNELS = 4;

const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

/** A store that fails when it is told to. */
function troubledStore() {
  const store = memoryStore();
  const troubled = { stored: store.stored, mode: 'good' };
  for (const name of ['load', 'put', 'remove']) {
    troubled[name] = (...args) => {
      if (troubled.mode === 'mute') return new Promise(() => {});
      // One that is full takes nothing more, and lets everything go.
      if (troubled.mode === 'bad' || (troubled.mode === 'full' && name === 'put')) return Promise.reject(new Error('bad store'));
      return store[name](...args);
    };
  }
  return troubled;
}

async function play(seed) {
  const { random, below, pick } = seeded(seed);
  const has = Object.fromEntries(
    ['silence', 'drops', 'refusals', 'expiries', 'clocks', 'stores', 'unsayable', 'large', 'moves', 'down'].map((name) => [name, below(2) === 0]),
  );
  const dozes = below(2) === 0;
  const clock = { now: () => 0 };
  const real = () => clock.now();
  const codes = below(4) !== 0;
  const old = below(4) === 0;
  const bucket = has.drops ? tokenBucket({ now: real }, 8 + below(10), 20 + below(80)) : null;
  /** The time until which the server takes nothing at all. */
  let swampedUntil = 0;
  /** The users of tokens that tell nothing, which only a server with `hello` names. */
  const sessions = new Map();
  const opaque = !old && below(3) === 0;
  const server = new ContractServer({
    old,
    codes,
    limit: LIMIT,
    channelLimit: CHANNELS,
    busy: bucket && ((session) => (real() < swampedUntil ? Math.min(20_000, swampedUntil - real()) : bucket(session))),
    now: real,
    ...(opaque && { userOfToken: (token) => sessions.get(token) }),
  });
  const w = linkedWorld(server);
  clock.now = w.clock.real;
  // Whoever dials a server that is down, or that refuses, fails; and is told why, if anybody asks.
  let state = 'up';
  const { WebSocket } = w.options;
  class Refusable extends WebSocket {
    constructor(...args) {
      super(...args);
      if (state === 'up') return;
      // The handshake is refused, whatever was under way.
      this.refused = true;
    }
    open() {
      if (this.refused) this.break();
      else super.open();
    }
  }
  const fetch = async () => {
    if (state === 'refusing') return new Response(JSON.stringify({ type: 'error', code: 'rate-limited', message: 'No' }), { status: 429, headers: { 'retry-after': '2' } });
    if (state === 'up') return new Response('{}', { status: 426 });
    throw new TypeError('Failed to fetch');
  };
  const options = { ...w.options, WebSocket: Refusable, fetch, random, maxReconnectAttempts: Infinity };

  let tokens = 0;
  let life = has.expiries ? pick([15, 30, 700]) : 1_000_000;
  const mint = (user) => {
    tokens += 1;
    if (!opaque) return jwt({ id: user, n: tokens, exp: real() / 1000 + life });
    sessions.set(`session-${tokens}`, user);
    return `session-${tokens}`;
  };
  const tokenOf = (user) => async () => mint(user);
  /** A function that takes its time, and gives whoever is signed in by then. */
  const sessionOf = (session) => async () => {
    const { user } = session;
    await new Promise((resolve) => w.clock.timers.setTimeout(resolve, 1_500));
    return mint(opaque ? session.user : user);
  };

  const fates = [];
  const faults = [];
  let unsaid = 0;
  /** Follows a request to its end. */
  const follow = (promise, request) => {
    const followed = { ...request, fate: 'open' };
    promise.then(() => (followed.fate = 'done'), ({ code }) => (followed.fate = code));
    fates.push(followed);
  };

  // A page: rooms that share an outbox, and channels. A reload makes another one.
  const store = troubledStore();
  let user = pick(USERS);
  let page;
  const known = new Set();
  const room = (name, extra = {}) => {
    const chat = new ChatClient(name, tokenOf(user), { ...options, ...extra });
    chat.handleMessage = () => {};
    chat.on('fault', (error) => faults.push({ chat, code: error.code }));
    chat.typed = -Infinity;
    return chat;
  };
  const open = () => {
    page = { user, rooms: ROOMS.map((name) => room(name, { outbox: new Outbox(store) })) };
    for (const chat of page.rooms) {
      chat.on('restored', ({ message, reply }) => follow(reply, { text: message.text, restored: true }));
      chat.connect();
    }
  };
  open();
  // A room that is left for another one by its field, without an outbox.
  const mover = room('hall');
  const signIn = (user) => {
    mover.user = user;
    mover.session = { user };
    mover.token = sessionOf(mover.session);
  };
  signIn(user);
  mover.connect();
  const live = new LiveClient(tokenOf('ada'), options);
  live.on('fault', (error) => faults.push({ chat: live, code: error.code }));
  live.connect();
  const wanted = new Map();
  /** Channels whose names are over the limit. */
  const longs = [];
  const loops = [];
  const refusals = [];
  const listen = (subscription, among) => {
    const loop = { ended: false };
    among.push(loop);
    void (async () => {
      for await (const _ of subscription);
    })().catch(() => {}).finally(() => (loop.ended = true));
  };
  // One of which nothing is ever wanted, at an endpoint that answers by `id`.
  const idle = new Client('ws://localhost:3000/private-chat', { ...options, token: tokenOf('ada'), greet: true });
  idle.connect();
  const clients = () => [...page.rooms, mover, live, idle];

  const say = (chat, by) => {
    const where = chat.roomId;
    const text = `${by}@${where}#${(unsaid += 1)}`;
    follow(chat.say(text), { text });
  };

  /** When each line fell silent. */
  const silent = new Map();
  /** When the page was first shown since then. */
  const looked = new Map();
  const check = () => {
    for (const client of clients()) {
      const since = silent.get(client.socket);
      if (since === undefined || client.state !== 'connected') continue;
      const seen = looked.get(client.socket);
      if (seen !== undefined && client.requests.supported) {
        assert.ok(w.clock.now() - seen <= 20_000, 'a silent line is held to be alive by a page that is looked at');
      }
      assert.ok(w.clock.now() - since <= 61_000, 'a silent line is held to be alive');
    }
  };
  const pass = (ms) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      w.clock.advance(Math.min(1_000, ms - passed));
      server.expire();
      check();
    }
  };

  /** What was sent on open lines arrives: it is not under way while a machine sleeps. */
  const arrive = () => {
    for (const link of w.alive()) if (link.readyState !== 0) link.arrive();
  };

  const actions = {
    say: () => {
      const chat = pick(page.rooms);
      say(chat, page.user);
    },
    subscribe: () => {
      const name = `c${below(12)}`;
      if (wanted.size >= CHANNELS || wanted.has(name)) return;
      const subscription = live.subscribe(name);
      wanted.set(name, subscription);
      listen(subscription, loops);
    },
    unsubscribe: () => {
      const name = pick([...wanted.keys()]);
      if (name === undefined) return;
      live.unsubscribe(name);
      wanted.delete(name);
    },
    exchange: () => {
      for (let n = 0; n < CHANNELS; n += 1) actions.unsubscribe();
      for (let n = 0; n < CHANNELS; n += 1) actions.subscribe();
    },
    publish: () => server.publish(`c${below(12)}`, 1),
    ask: () => follow(pick(page.rooms).history(100), { question: true }),
    type: () => {
      const chat = pick(page.rooms);
      const typings = () => chat.socket?.sent.filter(({ type }) => type === 'typing').length ?? 0;
      const before = typings();
      if (!chat.sendTyping(true)) return;
      const sent = typings() > before;
      if (chat.typedOn === chat.socket) assert.ok(sent || w.clock.now() - chat.typed < 3_000, 'typing is not announced');
      if (sent) Object.assign(chat, { typed: w.clock.now(), typedOn: chat.socket });
    },
    move: () => {
      for (let n = below(8); n > 0; n -= 1) w.step(pick);
    },
    moveAll: () => w.settle(),
    wait: () => pass(below(3_000)),
    waitLong: () => {
      // What was sent is not under way for longer than the server remembers.
      for (let n = below(14); n > 0; n -= 1) {
        pass(5_000);
        w.settle();
      }
    },
    cut: () => pick(w.alive())?.break(),
    restart: () => server.cut(),
    reload: () => {
      for (const chat of page.rooms) chat.close();
      if (has.moves) user = pick(USERS);
      // One that fails does so from the begin: what it did not hear of a request, nobody can know.
      store.mode = has.stores ? pick(['good', 'good', 'bad', 'mute']) : 'good';
      open();
    },
    ...(has.moves && {
      moveRoom: () => {
        say(mover, mover.user);
        // Somebody else may sign in where the client cannot see it, once the server has told who this is.
        const isTold = mover.state === 'connected' && mover.requests.scope.user !== undefined;
        mover.roomId = pick(ROOMS);
        if (below(2)) signIn(pick(USERS));
        else if (opaque && isTold) mover.user = mover.session.user = pick(USERS);
        mover.socket?.break?.();
      },
    }),
    ...(has.silence && {
      mute: () => {
        const link = pick(w.alive().filter(({ readyState }) => readyState === 1));
        if (!link || silent.has(link)) return;
        link.silent = true;
        silent.set(link, w.clock.now());
      },
      hide: () => w.show(false),
      look: () => {
        w.show(true);
        for (const link of silent.keys()) if (!looked.has(link)) looked.set(link, w.clock.now());
      },
    }),
    ...(has.refusals && {
      refuse: async () => {
        state = 'refusing';
        for (const link of w.alive()) link.break();
        // One that has a single attempt does not use it up while the server says that it is too much.
        const guest = room('hall', { maxReconnectAttempts: 1, patienceMs: 0 });
        guest.connect();
        for (let n = 0; n < 6; n += 1) {
          pass(1_000);
          w.settle();
          await settled();
        }
        state = 'up';
        assert.notEqual(guest.state, 'failed', 'a server that says when to come back was given up');
        guest.close();
      },
      // Without codes, an end before anything else was heard may be a refusal.
      expel: () => codes && server.disconnect(pick(USERS)),
    }),
    // Where a clock is set and the other one stands still in sleep, nobody knows the time.
    ...(has.clocks && {
      set: () => !dozes && w.clock.adjust(pick([-3_600_000, -180_000, 180_000, 3_600_000])),
      doze: () => {
        arrive();
        if (dozes) w.clock.doze(below(200_000));
      },
      sleep: () => {
        arrive();
        const ms = below(600_000);
        w.clock.sleep(ms);
        for (const times of [silent, looked]) for (const [link, since] of times) times.set(link, since + ms);
      },
    }),
    ...(has.clocks && {
      // It is said, the answer is lost, and the machine sleeps.
      nod: () => {
        const chat = pick(page.rooms);
        if (chat.state !== 'connected') return;
        say(chat, page.user);
        arrive();
        if (dozes) w.clock.doze(130_000);
        else w.clock.adjust(-3_600_000);
        chat.socket?.break();
      },
    }),
    ...(has.stores && {
      // What was written without a connection goes out, and the store cannot keep that.
      strand: async () => {
        if (store.mode !== 'good') return;
        for (const link of w.alive()) link.break();
        const chat = pick(page.rooms);
        say(chat, page.user);
        await settled();
        store.mode = 'full';
        for (let n = 0; n < 40 && chat.state !== 'connected'; n += 1) {
          pass(500);
          await settled();
          while (chat.state !== 'connected' && w.step());
        }
        arrive();
        await settled();
        for (const link of w.alive()) link.break();
        pass(130_000);
        actions.reload();
      },
      failStore: () => store.mode === 'good' && (store.mode = 'full'),
      mendStore: () => store.mode === 'full' && (store.mode = 'good'),
    }),
    ...(has.drops && {
      // A leaving is dropped, and what is asked for instead comes before anybody knows.
      swap: () => {
        if (wanted.size < CHANNELS || live.state !== 'connected') return;
        arrive();
        swampedUntil = real() + 1;
        actions.unsubscribe();
        arrive();
        pass(2);
        actions.subscribe();
        arrive();
      },
      // The answer is lost, and then the server takes nothing for longer than it remembers.
      swamp: async () => {
        const chat = pick(page.rooms);
        if (chat.state !== 'connected') return;
        say(chat, page.user);
        arrive();
        chat.socket?.break();
        swampedUntil = real() + 125_000;
        for (let n = 0; n < 140; n += 1) {
          w.settle();
          await settled();
          pass(1_000);
        }
      },
    }),
    ...(has.unsayable && {
      cannotSay: () => {
        const chat = pick(page.rooms);
        follow(chat.request({ type: 'chat', text: 1n }), { unsayable: true });
        const before = faults.length;
        const sent = [chat.sendMessage(1n), chat.sendPrivate(1n, 'x'), chat.send({ type: 'typing', isTyping: 1n })];
        assert.deepEqual(sent, [false, false, false]);
        assert.deepEqual(faults.slice(before).map(({ code }) => code), Array(3).fill('invalid-message'));
      },
    }),
    ...(has.large && {
      tooLarge: () => {
        const text = `large#${(unsaid += 1)}${'x'.repeat(LIMIT + below(500))}`;
        known.add(text);
        follow(pick(page.rooms).say(text), { text, large: true });
      },
      nameAtLength: () => {
        const long = live.subscribe(`c${'x'.repeat(LIMIT + longs.length)}`);
        longs.push(long);
        listen(long, refusals);
      },
    }),
    ...(has.down && {
      down: async () => {
        // One that has the guide's five attempts comes back to a server that is away for 20 seconds.
        const guest = room('hall', { maxReconnectAttempts: 5 });
        guest.connect();
        for (let n = 0; n < 40 && guest.state !== 'connected'; n += 1) {
          w.settle();
          await settled();
          pass(500);
        }
        w.settle();
        if (guest.state === 'connected') {
          state = 'down';
          server.cut(1006);
          for (let n = 0; n < 20; n += 1) {
            w.settle();
            await settled();
            pass(1_000);
          }
          state = 'up';
          for (let n = 0; n < 60 && guest.state !== 'connected'; n += 1) {
            w.settle();
            await settled();
            pass(500);
          }
          assert.notEqual(guest.state, 'failed', 'the guest gave up');
        }
        guest.close();
      },
    }),
  };
  const often = ['say', 'say', 'move', 'move', 'moveAll', 'moveAll', 'wait', 'wait', 'subscribe'];
  const names = [...Object.keys(actions), ...often, ...often];
  for (let step = 0; step < STEPS; step += 1) {
    const name = pick(names);
    await actions[name]();
    await settled();
  }

  // The world comes to rest: what was silent is found by the server too.
  store.mode = 'good';
  life = 1_000_000;
  const asked = [];
  for (let calm = 0; calm < 200; calm += 1) {
    // Once more everything at once, over lines that are good.
    if (calm === 150) {
      actions.exchange();
      actions.exchange();
      const before = fates.length;
      for (let n = 0; n < 12; n += 1) actions.ask();
      asked.push(...fates.slice(before));
    }
    // By now each client was told what the server takes.
    if (calm === 170 && !old) {
      const { tooBig } = server;
      const text = 'x'.repeat(LIMIT);
      const refused = page.rooms.map((chat) => [chat.sendMessage(text), chat.say(text)]);
      w.settle();
      for (const [sent, said] of refused) {
        assert.equal(sent, false, 'a message over the limit was sent');
        await assert.rejects(Promise.race([said, settled()]), { code: 'too-large' });
      }
      assert.equal(server.tooBig, tooBig, 'a message over a limit that is known was sent');
    }
    w.settle();
    await settled();
    pass(1_000);
    if (calm === 70) for (const link of w.links) if (link.silent) Object.assign(link, { silent: false }).break();
  }
  w.settle();
  await settled();

  for (const client of clients()) assert.equal(client.state, 'connected', `a client is ${client.state}: ${client.reason}`);
  for (const [name, { state }] of wanted) assert.equal(state, 'subscribed', `${name} is ${state}`);
  assert.ok(refusals.every(({ ended }) => ended), 'a loop over a channel that is refused never ends');
  for (const { state } of longs) assert.equal(state, 'refused', `a channel over the limit is ${state}`);
  const channels = server.channelsOf('ada', null);
  assert.deepEqual(channels.sort(), [...wanted.keys()].sort(), 'the server has other channels than those that are wanted');

  for (const { fate } of asked) assert.equal(fate, 'done', `a question over a good line is ${fate}`);

  for (const { text, by, room } of server.said) {
    const [, author, place] = /^(\w+)@(\w+)#/.exec(text) ?? [];
    assert.equal(`${by}@${room}`, `${author}@room:${place}`, `"${text}" was said by ${by} in ${room}`);
  }
  for (const { text, fate, unsayable, large, question, restored } of fates) {
    if (unsayable) assert.equal(fate, 'invalid-message');
    else if (question) assert.ok(['done', 'unconfirmed', 'closed', 'timeout', 'unsent'].includes(fate), `a question is ${fate}`);
    else {
      const times = server.executed.get(text) ?? 0;
      assert.ok(times <= 1, `"${text}" was executed ${times} times`);
      if (fate === 'done') assert.equal(times, 1, `"${text}" was confirmed and not executed`);
      if (fate === 'unsent') assert.ok(times === 0, `"${text}" was unsent and executed`);
      if (large) assert.ok(['too-large', 'closed', 'unsent', 'unconfirmed', 'timeout'].includes(fate), `what is too large is ${fate}`);
      else assert.ok(['done', 'unconfirmed', 'unsent', 'closed', 'timeout'].includes(fate) || (restored && fate === 'too-large'), `"${text}" is ${fate}`);
    }
  }
  // One that is repeated because its line fell silent may arrive twice.
  const large = fates.filter(({ text }) => known.has(text)).length;
  assert.ok(server.tooBig <= 2 * (large + longs.length), `${large + longs.length} large messages ended ${server.tooBig} connections`);
  for (const client of clients()) {
    const told = faults.filter(({ chat, code }) => chat === client && code === 'store').length;
    assert.ok(told <= 1, `the store’s failure was told ${told} times`);
  }
  for (const client of clients()) client.close();
  await settled();
  assert.ok(loops.every(({ ended }) => ended), 'a loop never ends');
  // Only a store that never answers is still waited for.
  if (!has.stores) assert.equal(w.clock.pending, 0);
  return {
    requests: fates.length,
    done: fates.filter(({ fate }) => fate === 'done').length,
    unsent: fates.filter(({ fate }) => fate === 'unsent').length,
    links: w.links.length,
  };
}

test(`${SEEDS.length} schedules of trouble lose, double and misdirect nothing`, async (t) => {
  const sum = {};
  const failed = [];
  for (const seed of SEEDS) {
    try {
      for (const [name, count] of Object.entries(await play(seed))) sum[name] = (sum[name] ?? 0) + count;
    } catch (error) {
      error.message = `SEED=${seed} replays it: ${error.message}`;
      // To see how many find a fault, and not the first one alone.
      if (!process.env.HUNT) throw error;
      failed.push(`${seed}: ${error.message.split('\n')[0].split('replays it: ')[1]}`);
    }
  }
  assert.deepEqual(failed, []);
  // Otherwise the schedules would prove little.
  assert.ok(process.env.SEED || sum.done > sum.requests / 3, `only ${sum.done} of ${sum.requests} were done`);
  t.diagnostic(JSON.stringify(sum));
});
