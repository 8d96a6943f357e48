import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client, ClientError, LiveClient, Outbox, Presence } from '../src/index.js';
import { ContractServer } from '../testing/contract-server.js';
import { linkedWorld } from '../testing/linked-world.js';
import { record, settled, world } from './kit/world.js';

const ADDRESS = 'ws://server.example/game';

function connected(make = (options) => new Client(ADDRESS, options)) {
  const w = world();
  const client = make(w.options);
  client.connect();
  w.socket.open();
  return { w, client };
}

describe('a command', () => {
  test('is answered with the data of its reply', async () => {
    const { w, client } = connected();
    const sum = client.request({ type: 'add', a: 1, b: 2 });
    const nothing = client.request({ type: 'forget' });
    const [first, second] = w.socket.sent;
    w.socket.receive({ type: 'reply', id: first.id, data: 3 });
    w.socket.receive({ type: 'reply', id: second.id, data: null });
    assert.equal(await sum, 3);
    assert.equal(await nothing, null);
  });

  test('is answered with the whole message by a server that has no replies', async () => {
    const { w, client } = connected();
    const ack = client.request({ type: 'a' });
    const own = client.request({ type: 'b' });
    const [first, second] = w.socket.sent;
    w.socket.receive({ type: 'ack', id: first.id, n: 1 });
    // An application's own message, which only has the name.
    w.socket.receive({ type: 'reply', id: second.id, text: 'yes' });
    assert.deepEqual(await ack, { type: 'ack', id: first.id, n: 1 });
    assert.deepEqual(await own, { type: 'reply', id: second.id, text: 'yes' });
  });

  test('whose fate the server does not know is unconfirmed, and is not repeated', async () => {
    const { w, client } = connected();
    const outcome = client.request({ type: 'a' }).catch((error) => error);
    const [{ id }] = w.socket.sent;
    w.socket.receive({ type: 'error', id, code: 'in-doubt', message: 'The process died' });
    const { code, refusal, message, cause } = await outcome;
    assert.deepEqual([code, refusal, message], ['unconfirmed', 'in-doubt', 'The process died']);
    assert.equal(cause.id, id);
    w.socket.break();
    w.clock.advance(1_000);
    w.socket.open();
    assert.deepEqual(w.socket.sent, []);
  });

  test('is executed once, over a connection that was lost before the reply', async () => {
    const server = new ContractServer({ commands: { add: ({ a, b }) => a + b } });
    const w = linkedWorld(server);
    const live = new LiveClient('ada', { ...w.options, outbox: new Outbox() });
    live.connect();
    w.settle();
    const sum = live.request({ type: 'add', a: 1, b: 2 });
    w.links[0].arrive();
    w.links[0].break();
    w.clock.advance(1_000);
    w.settle();
    assert.equal(await sum, 3);
    assert.deepEqual(server.commands, [{ type: 'add', a: 1, b: 2 }]);
  });
});

describe('a request of the server', () => {
  const request = (name, data, id = '7') => ({ type: 'request', id, name, data });

  test('is answered with what its function returns', async () => {
    const { w, client } = connected();
    client.handle('double', async (n) => 2 * n);
    client.handle('nothing', () => {});
    w.socket.receive(request('double', 4));
    w.socket.receive(request('nothing', null, '8'));
    await settled();
    const answers = Object.fromEntries(w.socket.sent.map(({ id, ...answer }) => [id, answer]));
    assert.deepEqual(answers, { 7: { type: 'response', data: 8 }, 8: { type: 'response', data: null } });
  });

  test('that nobody handles, or no more, is answered at once', async () => {
    const { w, client } = connected();
    client.handle('a', () => 1)();
    w.socket.receive(request('a'));
    await settled();
    assert.deepEqual(w.socket.sent, [{ type: 'response', id: '7', error: { code: 'no-handler', message: 'no-handler' } }]);
  });

  test('is answered by the last function for its name, which an earlier one does not take away', async () => {
    const { w, client } = connected();
    const stop = client.handle('a', () => 1);
    client.handle('a', () => 2);
    stop();
    w.socket.receive(request('a'));
    await settled();
    assert.deepEqual(w.socket.sent, [{ type: 'response', id: '7', data: 2 }]);
  });

  for (const [what, thrown, error] of [
    ['an error of its own', Object.assign(new Error('Not now'), { code: 'busy' }), { code: 'busy', message: 'Not now' }],
    ['a ClientError', new ClientError('unauthorized', 'Who?'), { code: 'unauthorized', message: 'Who?' }],
    ['an error without a code', new TypeError('x is undefined'), { message: 'x is undefined' }],
    ['an error whose code is a number', Object.assign(new Error('old'), { code: 8 }), { message: 'old' }],
    ['a text', 'no', { message: 'no' }],
    ['nothing', undefined, { message: 'undefined' }],
  ]) {
    test(`whose function throws ${what} is answered with that`, async () => {
      const { w, client } = connected();
      client.handle('a', () => {
        throw thrown;
      });
      w.socket.receive(request('a'));
      await settled();
      assert.deepEqual(w.socket.sent, [{ type: 'response', id: '7', error }]);
    });
  }

  test('is not answered on another connection than it came over', async () => {
    const { w, client } = connected();
    let answer;
    client.handle('a', () => new Promise((resolve) => (answer = resolve)));
    w.socket.receive(request('a'));
    w.socket.break();
    w.clock.advance(1_000);
    w.socket.open();
    answer(1);
    await settled();
    assert.deepEqual(w.socket.sent, []);
  });

  test('whose answer JSON cannot say is told here', async () => {
    const { w, client } = connected();
    const faults = record(client, 'fault');
    client.handle('a', () => 1n);
    w.socket.receive(request('a'));
    await settled();
    assert.deepEqual(faults.map(({ code }) => code), ['invalid-message']);
  });
});

/** A client of a server in memory. */
function linked(options) {
  const server = new ContractServer(options);
  const w = linkedWorld(server);
  const live = new LiveClient('ada', w.options);
  live.connect();
  const settle = () => w.settle();
  const comeBack = () => {
    w.clock.advance(1_000);
    settle();
  };
  return { server, w, live, settle, comeBack };
}

describe('a channel that the server takes away', () => {
  test('ends with the reason, and is not asked for again', () => {
    const { server, w, live, settle, comeBack } = linked();
    const news = live.subscribe('news');
    const told = record(news, 'unsubscribed');
    const states = record(news, 'state');
    settle();
    server.kick('ada', 'news');
    settle();
    assert.deepEqual(states, ['subscribed', 'unsubscribed']);
    assert.deepEqual(told.map(({ code, refusal, message }) => [code, refusal, message]), [['refused', 'kicked', 'Kicked']]);
    assert.deepEqual(live.subscriptions, []);
    w.links[0].break();
    comeBack();
    assert.equal(live.state, 'connected');
    assert.deepEqual(server.channels, []);
  });

  test('is asked for when somebody subscribes again', () => {
    const { server, live, settle } = linked();
    const before = live.subscribe('news');
    settle();
    server.kick('ada', 'news');
    settle();
    const after = live.subscribe('news');
    const updates = record(after, 'update');
    settle();
    assert.notEqual(after, before);
    server.publish('news', 1);
    settle();
    assert.deepEqual(updates.map(({ data }) => data), [1]);
  });

  test('ends its iterations with the reason', async () => {
    const { server, live, settle } = linked();
    const events = live.subscribe('news')[Symbol.asyncIterator]();
    settle();
    server.publish('news', 1);
    server.kick('ada', 'news');
    settle();
    assert.equal((await events.next()).value.data, 1);
    await assert.rejects(events.next(), { code: 'refused', refusal: 'kicked' });
  });

  test('is not taken for the answer to an own wish, or for the end of its successor', () => {
    const { w, client: live } = connected((options) => new LiveClient('jwt', options));
    live.subscribe('news');
    w.socket.receive({ type: 'subscribed', channel: 'news' });
    live.unsubscribe('news');
    const second = live.subscribe('news');
    // It was sent before the server read either.
    w.socket.receive({ type: 'unsubscribed', channel: 'news', code: 'kicked', message: 'Kicked' });
    assert.equal(second.state, 'subscribing');
    w.socket.receive({ type: 'unsubscribed', channel: 'news', id: w.socket.sent[1].id });
    w.socket.receive({ type: 'subscribed', channel: 'news', id: w.socket.sent[2].id });
    assert.equal(second.state, 'subscribed');
  });

  test('for a while is asked for again after that, from where it stood', () => {
    const { server, w, live, settle } = linked();
    const news = live.subscribe('news');
    const states = record(news, 'state');
    const updates = record(news, 'update');
    settle();
    server.kick('ada', 'news', { code: 'unavailable', message: 'Later', retryAfterMs: 1_000 });
    settle();
    server.publish('news', 'missed');
    w.clock.advance(999);
    settle();
    assert.deepEqual(server.channels, []);
    w.clock.advance(1);
    settle();
    assert.deepEqual(states, ['subscribed', 'subscribing', 'subscribed']);
    assert.deepEqual(updates.map(({ data }) => data), ['missed']);
    live.close();
    settle();
    assert.equal(w.clock.pending, 0);
  });

  test('shows nobody any more', async () => {
    const { server, live, settle } = linked();
    const presence = new Presence(live, 'news');
    settle();
    await settled();
    settle();
    assert.equal(presence.members.length, 1);
    const changes = record(presence, 'change');
    server.kick('ada', 'news');
    settle();
    assert.deepEqual(changes, [[]]);
  });
});

describe('a channel that the server subscribes to', () => {
  const own = (id) => [`user:${id}`];

  test('is there without being asked for, and goes on where it stood', () => {
    const { server, w, live, settle, comeBack } = linked({ own });
    const joined = record(live, 'joined');
    settle();
    const [inbox] = joined;
    assert.equal(inbox, live.subscribe('user:ada'));
    assert.equal(inbox.state, 'subscribed');
    const updates = record(inbox, 'update');
    server.publish('user:ada', 1);
    settle();
    w.links[0].break();
    server.publish('user:ada', 2);
    comeBack();
    server.publish('user:ada', 3);
    settle();
    assert.deepEqual(updates.map(({ data }) => data), [1, 2, 3]);
    assert.equal(joined.length, 1);
  });

  test('is the one that was asked for', () => {
    const { server, live, settle } = linked({ own });
    const inbox = live.subscribe('user:ada');
    const joined = record(live, 'joined');
    const gaps = record(inbox, 'gap');
    const updates = record(inbox, 'update');
    settle();
    server.publish('user:ada', 1);
    settle();
    assert.equal(inbox.state, 'subscribed');
    assert.deepEqual(updates.map(({ data }) => data), [1]);
    assert.deepEqual([joined, gaps], [[], []]);
  });

  test('can be left', () => {
    const { server, live, settle } = linked({ own });
    settle();
    live.unsubscribe('user:ada');
    settle();
    assert.deepEqual(server.channels, []);
  });

  test('is an event that no message of the server can forge', () => {
    const { w, client: live } = connected((options) => new LiveClient('jwt', options));
    const joined = record(live, 'joined');
    w.socket.receive({ type: 'joined' });
    assert.deepEqual(joined, []);
  });
});

describe('the initial state of a channel', () => {
  test('comes before its updates, and not with what was missed', () => {
    const { server, w, live, settle, comeBack } = linked({ initial: () => ['a', 'b'] });
    const board = live.subscribe('board');
    const events = [];
    for (const type of ['initial', 'update', 'gap', 'recovered']) {
      board.on(type, ({ data }) => events.push([type, data]));
    }
    settle();
    server.publish('board', 'c');
    settle();
    w.links[0].break();
    server.publish('board', 'd');
    comeBack();
    assert.deepEqual(events, [
      ['initial', ['a', 'b']],
      ['update', 'c'],
      ['recovered', undefined],
      ['update', 'd'],
    ]);
  });

  test('comes again after a gap', () => {
    const { server, w, live, settle, comeBack } = linked({ initial: () => 'all' });
    const board = live.subscribe('board');
    const events = [];
    for (const type of ['initial', 'gap']) board.on(type, () => events.push(type));
    settle();
    w.links[0].break();
    server.forget('e2');
    comeBack();
    assert.deepEqual(events, ['initial', 'gap', 'initial']);
  });

  test('is the first thing of an iteration', async () => {
    const { server, live, settle } = linked({ initial: () => 'all' });
    const events = live.subscribe('board')[Symbol.asyncIterator]();
    settle();
    server.publish('board', 'more');
    settle();
    assert.deepEqual((await events.next()).value, { type: 'initial', channel: 'board', data: 'all' });
    assert.equal((await events.next()).value.data, 'more');
  });
});

describe('a ticket', () => {
  const tokenIn = 'ticket';

  test('goes in the address of one attempt, and the next one gets another', async () => {
    const w = world();
    let asked = 0;
    const live = new LiveClient(() => `ticket-${++asked}`, { ...w.options, tokenIn });
    live.connect();
    assert.equal(w.socket.url, 'ws://localhost:3000/live?ticket=ticket-1');
    assert.equal(w.socket.protocols, undefined);
    w.socket.open();
    w.socket.break();
    w.clock.advance(60_000);
    assert.ok(asked > 1);
    assert.equal(w.socket.url, `ws://localhost:3000/live?ticket=ticket-${asked}`);
  });

  test('stands behind the other fields of an address, once', () => {
    const w = world();
    const client = new Client(`${ADDRESS}?ticket=old&x=1`, { ...w.options, token: 'a/b', tokenIn });
    client.connect();
    assert.equal(w.socket.url, `${ADDRESS}?x=1&ticket=a%2Fb`);
  });

  test('is used up by a handshake that failed, so nobody is asked why', async () => {
    const w = world();
    const asked = [];
    const fetch = async (address) => {
      asked.push(address);
      return { status: 401, headers: new Headers(), text: async () => '' };
    };
    const live = new LiveClient(() => 'ticket', { ...w.options, fetch, tokenIn });
    live.connect();
    w.socket.break();
    await import('../src/handshake.js');
    await settled();
    assert.deepEqual(asked, []);
    assert.notEqual(live.state, 'failed');
  });
});

describe('a token in the first message', () => {
  const tokenIn = 'message';

  test('goes ahead of everything else, on each connection, and is in no address', async () => {
    const w = world();
    let asked = 0;
    const live = new LiveClient(() => `jwt-${++asked}`, { ...w.options, tokenIn });
    live.subscribe('posts');
    live.connect();
    for (const connection of [1, 2]) {
      assert.equal(w.socket.url, 'ws://localhost:3000/live?auth=message');
      assert.equal(w.socket.protocols, undefined);
      w.socket.open();
      assert.deepEqual(w.socket.sent[0], { type: 'auth', token: `jwt-${asked}` });
      assert.ok(w.socket.sent.slice(1).some(({ type }) => type === 'subscribe'));
      assert.equal(w.socket.sent.filter(({ type }) => type === 'auth').length, 1);
      assert.equal(asked, connection);
      w.socket.break();
      w.clock.advance(1_000);
      await settled();
    }
  });

  test('is there for whoever sends as soon as it is connected', () => {
    const w = world();
    const client = new Client(`${ADDRESS}?x=1&auth=old`, { ...w.options, token: 'two words', tokenIn });
    client.on('state', ({ state }) => state === 'connected' && client.send({ type: 'first' }));
    client.connect();
    assert.equal(w.socket.url, `${ADDRESS}?x=1&auth=message`);
    w.socket.open();
    assert.deepEqual(w.socket.sent, [{ type: 'auth', token: 'two words' }, { type: 'first' }]);
  });

  test('that there is none is no message', () => {
    const { w } = connected((options) => new LiveClient(undefined, { ...options, tokenIn }));
    assert.equal(w.socket.url, 'ws://localhost:3000/live');
    assert.ok(w.socket.sent.every(({ type }) => type !== 'auth'));
  });

  test('is not in the question why a handshake failed, and a server that takes none is no server for it', async () => {
    const asked = [];
    const w = world();
    const fetch = async (address, { headers }) => {
      asked.push([address, headers.authorization]);
      return { status: 401, headers: new Headers(), text: async () => '' };
    };
    const live = new LiveClient('jwt', { ...w.options, fetch, tokenIn });
    live.connect();
    w.socket.break();
    await import('../src/handshake.js');
    await settled();
    assert.deepEqual(asked, [['http://localhost:3000/live?auth=message', undefined]]);
    assert.deepEqual([live.state, live.reason], ['failed', 'unauthorized']);
  });

  test('that came too late is sent again, and one that is refused is not', () => {
    const late = connected((options) => new LiveClient('jwt', { ...options, tokenIn }));
    late.w.socket.receive({ type: 'error', code: 'authentication-timeout', message: 'No token came in time' });
    late.w.socket.end(3008, 'No token came in time');
    late.w.clock.advance(1_000);
    late.w.socket.open();
    assert.deepEqual(late.w.socket.sent[0], { type: 'auth', token: 'jwt' });
    const refused = connected((options) => new LiveClient('jwt', { ...options, tokenIn }));
    refused.w.socket.receive({ type: 'error', code: 'invalid-token', message: 'Invalid token' });
    refused.w.socket.end(1008, 'Invalid token');
    refused.w.clock.advance(60_000);
    assert.equal(refused.w.sockets.length, 1);
  });
});

describe('a token', () => {
  const tokenIn = 'subprotocol';

  test('goes as a subprotocol where that is wished, and not in the address', () => {
    const { w } = connected((options) => new LiveClient('a.jwt-of_ada', { ...options, tokenIn }));
    assert.equal(w.socket.url, 'ws://localhost:3000/live');
    assert.deepEqual(w.socket.protocols, ['nextrush.v1', 'nextrush.bearer.a.jwt-of_ada']);
  });

  test('comes after the subprotocols of the application', () => {
    const { w } = connected((options) => new Client(ADDRESS, { ...options, token: 'jwt', tokenIn, protocols: 'game.v2' }));
    assert.equal(w.socket.url, ADDRESS);
    assert.deepEqual(w.socket.protocols, ['game.v2', 'nextrush.bearer.jwt']);
  });

  test('that no subprotocol can say goes in the address', () => {
    const { w } = connected((options) => new LiveClient('two words', { ...options, tokenIn }));
    assert.equal(w.socket.url, 'ws://localhost:3000/live?token=two%20words');
    assert.equal(w.socket.protocols, undefined);
  });

  test('that there is none is no subprotocol', () => {
    const { w } = connected((options) => new LiveClient(undefined, { ...options, tokenIn }));
    assert.equal(w.socket.url, 'ws://localhost:3000/live');
    assert.equal(w.socket.protocols, undefined);
  });

  test('goes with the question why a handshake failed', async () => {
    const asked = [];
    const w = world();
    const fetch = async (address, { headers }) => {
      asked.push([address, headers.authorization]);
      return { status: 426, headers: new Headers(), text: async () => '' };
    };
    const live = new LiveClient('jwt', { ...w.options, fetch, tokenIn });
    live.connect();
    w.socket.break();
    await import('../src/handshake.js');
    await settled();
    assert.deepEqual(asked, [['http://localhost:3000/live', 'Bearer jwt']]);
  });
});
