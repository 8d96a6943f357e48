import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ChatClient, Client, LiveClient } from '../src/index.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { record, recordStates, world } from './kit/world.js';

/** Clients that are connected to a server in memory, over a line that can be made silent. */
function connected({ server = new ContractServer(), page } = {}) {
  const w = linkedWorld(server);
  const options = { ...w.options, ...(page !== undefined && { page }) };
  const live = new LiveClient('ada', options);
  live.subscribe('news');
  const chat = new ChatClient('hall', 'ada', options);
  chat.handleMessage = () => {};
  live.connect();
  chat.connect();
  w.settle();
  /** Lets time pass, and everything arrive that is sent meanwhile. */
  const pass = (ms, each = () => {}) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      w.clock.advance(Math.min(1_000, ms - passed));
      each();
      if (!w.silent) w.settle();
    }
  };
  return { w, server, live, chat, pass };
}

describe('a line that dies silently', () => {
  for (const [where, prepare] of [
    ['in Node', ({}) => ({ page: null })],
    ['in a page that is shown', () => ({})],
    ['in a page that is hidden, whose chains of timers are called once a minute', ({ w }) => {
      w.show(false);
      w.clock.throttled = true;
      return {};
    }],
  ]) {
    for (const [how, talk] of [
      ['idle', () => {}],
      ['busy', ({ server }) => server.publish('news', 1)],
    ]) {
      for (const old of [false, true]) {
        const knows = old ? 'that knows neither hello nor ping' : 'that knows the questions';
        test(`${where}, ${how}, of a server ${knows}, is left within a minute`, () => {
          const server = new ContractServer({ old });
          const world = connected({ server, ...(where === 'in Node' && { page: null }) });
          const { w, live, chat, pass } = world;
          if (where !== 'in Node') prepare(world);
          const states = [recordStates(live), recordStates(chat)];
          pass(600_000, () => talk(world));
          assert.deepEqual(states, [[], []], 'a line that lives is kept');
          w.silent = true;
          pass(60_000);
          for (const [first] of states) assert.equal(first, 'disconnected: no-answer');
        });
      }
    }
  }

  test('while an answer is due, is left after fifteen seconds, however much was heard before', () => {
    const { w, chat, server, pass } = connected();
    pass(60_000, () => server.publish('news', 1));
    w.silent = true;
    void chat.say('hello').catch(() => {});
    pass(14_000);
    assert.equal(chat.state, 'connected');
    pass(1_000);
    assert.equal(chat.state, 'disconnected');
  });

  test('is left within 20 seconds after the page is shown again, also while an answer is due', () => {
    const { w, live, chat, pass } = connected();
    w.show(false);
    w.silent = true;
    void chat.say('hello').catch(() => {});
    w.show(true);
    pass(5_000);
    assert.deepEqual([live.state, chat.state], ['disconnected', 'disconnected']);
  });

  test('is found by the interval of a server that pings less often', () => {
    const { w, live, pass } = connected({ server: new ContractServer({ told: { pingIntervalMs: 100_000 } }) });
    w.silent = true;
    pass(20_000 + 15_000);
    w.silent = false;
    // The first question was due before the server told; from then on it is asked at leisure.
    pass(40_000);
    assert.equal(live.state, 'connected');
    const pings = () => w.links.at(-1).sent.filter(({ type }) => type === 'ping').length;
    const before = pings();
    pass(240_000);
    assert.equal(pings() - before, 3);
  });

  test('before anything came over it is left too', () => {
    const w = linkedWorld(new ContractServer());
    const live = new LiveClient('ada', w.options);
    live.subscribe('news');
    const chat = new ChatClient('hall', 'ada', w.options);
    chat.handleMessage = () => {};
    live.connect();
    chat.connect();
    for (const socket of w.links) socket.open();
    assert.deepEqual([live.state, chat.state], ['connected', 'connected']);
    w.clock.advance(60_000);
    assert.notEqual(live.reason, 'opened');
    assert.notEqual(chat.reason, 'opened');
  });

  for (const [what, make] of [
    ['LiveClient', (options) => new LiveClient('ada', options)],
    ['Client that may ask', (options) => new Client('ws://localhost:3000/private-chat?token=ada', { ...options, greet: true })],
  ]) {
    test(`of a ${what} of which nothing was ever wanted is left within a minute`, () => {
      const w = linkedWorld(new ContractServer());
      const client = make(w.options);
      client.connect();
      w.links[0].open();
      w.clock.advance(59_000);
      assert.notEqual(client.reason, 'opened');
    });
  }

  test('of a client that is subscribed to nothing is left too', () => {
    const w = linkedWorld(new ContractServer());
    const live = new LiveClient('ada', w.options);
    live.connect();
    w.settle();
    w.clock.advance(20_000);
    w.settle();
    w.clock.advance(60_000);
    assert.notEqual(live.reason, 'opened');
  });
});

test('messages set no timers', () => {
  const { w, server, chat } = connected();
  void chat.say('one').catch(() => {});
  const before = w.clock.set;
  for (let i = 0; i < 1_000; i += 1) server.publish('news', i);
  w.settle();
  assert.equal(w.clock.set - before, 0);
});

describe('the question about the server', () => {
  test('is asked once on each connection, when the server has shown that it answers', () => {
    const { w, live } = connected();
    assert.deepEqual(w.links.map(({ hellos }) => hellos.length), [1, 1]);
    w.links[0].break();
    w.clock.advance(250);
    w.settle();
    assert.equal(live.state, 'connected');
    assert.equal(w.links.at(-1).hellos.length, 1);
  });

  for (const [how, answer] of [
    ['answered', (id) => ({ type: 'hello', id, pingIntervalMs: 25_000 })],
    ['answered with what does not fit', (id) => ({ type: 'hello', id, user: 7, pingIntervalMs: 'often', maxMessageBytes: -1, windowMs: null, time: {} })],
    ['not understood', (id) => ({ type: 'error', id, code: 'unknown-type', message: 'Unknown message type' })],
    ['not understood without a code', (id) => ({ type: 'error', id, message: 'Unknown message type' })],
  ]) {
    test(`that is ${how} is nobody’s affair`, () => {
      const w = world();
      const live = new LiveClient('ada', w.options);
      const heard = ['message', 'error', 'hello', 'fault'].map((type) => record(live, type));
      live.subscribe('news');
      live.connect();
      w.socket.open();
      w.socket.receive({ type: 'subscribed', channel: 'news', id: w.socket.sent[0].id, epoch: 'e', offset: 0 });
      heard.forEach((events) => events.splice(0));
      w.socket.receive(answer(w.socket.hellos[0].id));
      assert.deepEqual(heard, [[], [], [], []]);
      assert.equal(live.state, 'connected');
    });
  }

  test('is not asked of an endpoint that answers nobody, whose members would hear it', () => {
    const w = world();
    const client = new Client('ws://server.example/robust-chat/lobby', w.options);
    client.connect();
    w.socket.open();
    w.socket.receive({ type: 'whatever' });
    w.clock.advance(3_600_000);
    assert.deepEqual([w.socket.sent, w.socket.hellos], [[], []]);
    assert.equal(client.state, 'connected');
  });

  test('that a server without ids does not understand is nobody’s error, and is not asked again', () => {
    const w = world();
    const live = new LiveClient('ada', w.options);
    const errors = record(live, 'error');
    live.connect();
    w.socket.open();
    w.clock.advance(20_000);
    w.socket.receive({ type: 'error', message: 'Unknown message type' });
    w.clock.advance(3_600_000);
    assert.equal(w.socket.hellos.length, 1);
    assert.deepEqual(errors, []);
    assert.equal(live.state, 'connected');
  });
});
