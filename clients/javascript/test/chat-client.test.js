import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';

import { ChatClient, State } from '../src/index.js';
import { record, settled, withoutIds, world } from './kit/world.js';

const ada = { id: 1, email: 'ada@example.org' };
const bob = { id: 'b', email: 'bob@example.org' };
const eve = { id: 3, email: 'eve@example.org' };

const said = (id, user, text) => ({
  type: 'chat-message',
  id,
  text,
  user,
  timestamp: '2026-01-31T09:05:07.123Z',
});

/** A client in the room `lobby`, which shows nothing on the console. */
function inRoom(options = {}) {
  const w = world();
  const chat = new ChatClient('lobby', 'jwt', { ...w.options, ...options });
  chat.handleMessage = () => {};
  chat.connect();
  w.socket.open();
  return { w, chat };
}

describe('the interface of the guide', () => {
  test('a new client has the fields of the guide', () => {
    const chat = new ChatClient('room123', 'jwt', world().options);
    assert.equal(chat.roomId, 'room123');
    assert.equal(chat.token, 'jwt');
    assert.equal(chat.socket, null);
    assert.equal(chat.reconnectAttempts, 0);
    assert.equal(chat.maxReconnectAttempts, 5);
  });

  test('it connects to its room on this machine, with the token', () => {
    const { w, chat } = inRoom();
    assert.equal(w.socket.url, 'ws://localhost:3000/chat/lobby?token=jwt');
    assert.equal(chat.socket, w.socket);
  });

  test('sendMessage sends a chat message, and nothing while not connected', () => {
    const { w, chat } = inRoom();
    assert.equal(chat.sendMessage('hello'), true);
    assert.deepEqual(w.socket.sent, [{ type: 'chat', text: 'hello' }]);
    chat.disconnect();
    assert.equal(chat.sendMessage('lost'), false);
    assert.equal(w.socket.sent.length, 1);
  });

  for (const [how, send] of [
    ['sendMessage', (chat) => chat.sendMessage(1n)],
    ['sendTyping', (chat) => chat.sendTyping(1n)],
    ['sendPrivate', (chat) => chat.sendPrivate(1n, 'hello')],
    ['send', (chat) => chat.send({ toJSON: () => assert.fail() })],
  ]) {
    test(`what JSON cannot say does not go out by ${how}, and is told`, () => {
      const { w, chat } = inRoom();
      const faults = record(chat, 'fault');
      assert.equal(send(chat), false);
      assert.deepEqual(w.socket.sent, []);
      assert.deepEqual(faults.map(({ code }) => code), ['invalid-message']);
    });
  }

  test('disconnect is for good', () => {
    const { w, chat } = inRoom();
    chat.disconnect();
    w.sockets[0].end(1000);
    w.clock.advance(60_000);
    assert.equal(chat.state, State.Closed);
    assert.equal(w.sockets.length, 1);
    assert.equal(w.sockets[0].closedWith, 1000);
  });

  test('it gives up after five attempts in a row', () => {
    const { w, chat } = inRoom();
    const retries = record(chat, 'retry');
    w.socket.end(1006);
    for (let i = 1; i <= 5; i += 1) {
      assert.equal(chat.reconnectAttempts, i);
      w.clock.advance(retries.at(-1).delayMs);
      w.socket.break();
    }
    assert.equal(chat.state, State.Failed);
    assert.equal(w.sockets.length, 6);
  });

  test('messages are displayed as the guide does', () => {
    const w = world();
    const chat = new ChatClient('lobby', 'jwt', w.options);
    const displayed = [];
    chat.displayMessage = (message) => displayed.push(['message', message]);
    chat.displayNotification = (text) => displayed.push(['notification', text]);
    chat.displayError = (text) => displayed.push(['error', text]);
    chat.connect();
    w.socket.open();
    w.socket.receive(said(1, ada, 'hello'));
    w.socket.receive({ type: 'user-joined', user: bob, userCount: 2 });
    w.socket.receive({ type: 'user-left', user: bob, userCount: 1 });
    w.socket.receive({ type: 'error', code: 'unknown-type', message: 'Unknown message type' });
    w.socket.receive({ type: 'typing', user: bob, isTyping: true });
    assert.deepEqual(displayed, [
      ['message', said(1, ada, 'hello')],
      ['notification', 'bob@example.org joined'],
      ['notification', 'User left'],
      ['error', 'Unknown message type'],
    ]);
  });

  test('a subclass overrides what is displayed', () => {
    const texts = [];
    class Page extends ChatClient {
      displayMessage({ text }) {
        texts.push(text);
      }
    }
    const w = world();
    const chat = new Page('lobby', 'jwt', w.options);
    chat.connect();
    w.socket.open();
    w.socket.receive(said(1, ada, 'hello'));
    assert.deepEqual(texts, ['hello']);
  });

  test('without overriding, everything goes to the console', () => {
    const log = mock.method(console, 'log', () => {});
    const error = mock.method(console, 'error', () => {});
    try {
      const w = world();
      const chat = new ChatClient('lobby', 'jwt', w.options);
      chat.connect();
      w.socket.open();
      w.socket.receive(said(1, ada, 'hello'));
      w.socket.receive({ type: 'user-left', user: ada, userCount: 0 });
      w.socket.receive({ type: 'error', message: 'no' });
      assert.deepEqual(log.mock.calls.map((call) => call.arguments), [
        ['ada@example.org: hello'],
        ['Notification: User left'],
      ]);
      assert.deepEqual(error.mock.calls.map((call) => call.arguments), [['Error: no']]);
    } finally {
      mock.restoreAll();
    }
  });

  test('replacing handleMessage takes over the display, and leaves the events', () => {
    const { w, chat } = inRoom();
    const handled = [];
    chat.handleMessage = (message) => handled.push(message.type);
    chat.displayMessage = () => assert.fail('not called');
    const messages = record(chat, 'chat-message');
    w.socket.receive(said(1, ada, 'hello'));
    assert.deepEqual(handled, ['chat-message']);
    assert.deepEqual(messages, [said(1, ada, 'hello')]);
  });
});

describe('the address', () => {
  test('a new token is used by the next attempt', () => {
    const { w, chat } = inRoom();
    w.socket.end(1008, 'Invalid token');
    chat.token = 'fresh';
    chat.connect();
    assert.equal(w.socket.url, 'ws://localhost:3000/chat/lobby?token=fresh');
  });

  test('a function gets the token of each attempt', () => {
    const w = world();
    let n = 0;
    const chat = new ChatClient('lobby', () => `jwt${(n += 1)}`, w.options);
    chat.connect();
    w.socket.break();
    w.clock.advance(250);
    assert.deepEqual(
      w.sockets.map(({ url }) => new URL(url).searchParams.get('token')),
      ['jwt1', 'jwt2'],
    );
  });

  test('the server and the room go into the address, encoded', () => {
    const w = world();
    const server = 'https://chat.example/app';
    const chat = new ChatClient('a/b c', 'jwt', { ...w.options, server });
    chat.connect();
    assert.equal(w.socket.url, 'wss://chat.example/app/chat/a%2Fb%20c?token=jwt');
  });

  test('a room or server that cannot be addressed is told at once', () => {
    const { options } = world();
    assert.throws(() => new ChatClient('..', 'jwt', options), { code: 'invalid-address' });
    assert.throws(() => new ChatClient('', 'jwt', options), { code: 'invalid-address' });
    assert.throws(() => new ChatClient('lobby', 'jwt', { ...options, server: 'chat.example' }), {
      code: 'invalid-address',
    });
  });
});

describe('members', () => {
  test('they come with the history, each once, and follow joins and leaves', () => {
    const { w, chat } = inRoom();
    const users = record(chat, 'users');
    const history = record(chat, 'room-history');
    w.socket.receive({ type: 'room-history', messages: [said(1, ada, 'hi')], users: [ada, bob, bob] });
    w.socket.receive({ type: 'user-joined', user: eve, userCount: 4 });
    w.socket.receive({ type: 'user-left', user: bob, userCount: 3 });
    w.socket.receive({ type: 'user-left', user: bob, userCount: 2 });
    assert.deepEqual(history[0].messages, [said(1, ada, 'hi')]);
    assert.deepEqual(users, [[ada, bob], [ada, bob, eve], [ada, eve]]);
    assert.deepEqual(chat.users, [ada, eve]);
  });

  test('the history of a new connection replaces those of the lost one', () => {
    const { w, chat } = inRoom();
    w.socket.receive({ type: 'room-history', messages: [], users: [ada, bob] });
    w.socket.end(1012);
    assert.deepEqual(chat.users, [ada, bob]);
    w.clock.advance(250);
    w.socket.open();
    w.socket.receive({ type: 'room-history', messages: [], users: [ada] });
    assert.deepEqual(chat.users, [ada]);
  });

  const history = (fields) => ({ type: 'room-history', messages: [], epoch: 'e', offset: 0, ...fields });
  const page = (w, members, fields) => {
    const { id } = w.socket.sent.findLast(({ type }) => type === 'members');
    w.socket.receive({ type: 'members', members, userCount: 0, usersVersion: 0, ...fields, id });
    return settled();
  };
  const asked = (w) => withoutIds(w.socket.sent.filter(({ type }) => type === 'members'));

  test('more than come with the history are asked for page by page, while people come and go', async () => {
    const { w, chat } = inRoom();
    w.socket.receive(history({ users: [ada, bob], userCount: 5, usersVersion: 5 }));
    assert.equal(w.socket.hellos.at(-1).keepsUsers, true);
    w.socket.receive({ type: 'user-joined', user: eve, userCount: 6 });
    await page(w, [{ user: ada, sockets: 2 }, { user: bob, sockets: 1 }], { next: 2 });
    // The second connection of Ada was in no list yet when the first page came.
    w.socket.receive({ type: 'user-left', user: ada, userCount: 5 });
    w.socket.receive({ type: 'user-left', user: eve, userCount: 4 });
    await page(w, [{ user: eve, sockets: 2 }]);
    assert.deepEqual(asked(w), [{ type: 'members', after: 0 }, { type: 'members', after: 2 }]);
    assert.deepEqual(chat.users, [ada, bob, eve]);
    for (const user of [eve, ada]) w.socket.receive({ type: 'user-left', user, userCount: 1 });
    assert.deepEqual(chat.users, [bob, eve]);
  });

  test('a list with everybody is not asked for again, nor one of a server that counts nobody', () => {
    const { w, chat } = inRoom();
    for (const fields of [{ userCount: 2, usersVersion: 1 }, {}]) {
      w.socket.receive(history({ users: [ada, ada], ...fields }));
    }
    assert.deepEqual(asked(w), []);
    assert.deepEqual(chat.users, [ada]);
  });

  test('who was slow keeps the list, unless somebody joined or left unseen', async () => {
    const { w, chat } = inRoom();
    const histories = record(chat, 'room-history');
    w.socket.receive(history({ users: [ada, bob], userCount: 2, usersVersion: 7 }));
    w.socket.receive({ type: 'user-joined', user: ada, userCount: 3 });
    w.socket.receive(history({ recovered: true, userCount: 3 }));
    w.socket.receive(history({ recovered: false, reason: 'history', userCount: 3, usersVersion: 8 }));
    assert.deepEqual(asked(w), []);
    assert.deepEqual(histories.at(-1).users, [ada, ada, bob]);
    w.socket.receive(history({ recovered: true, userCount: 1, usersVersion: 12 }));
    assert.deepEqual(chat.users, [ada, bob]);
    await page(w, [{ user: eve, sockets: 1 }]);
    assert.deepEqual(chat.users, [eve]);
    w.socket.receive(history({ recovered: true, userCount: 1, usersVersion: 12 }));
    assert.equal(asked(w).length, 1);
  });

  test('a list that is read when the next one is due is read again', async () => {
    const { w, chat } = inRoom();
    w.socket.receive(history({ users: [ada], userCount: 2, usersVersion: 2 }));
    w.socket.receive(history({ userCount: 1, usersVersion: 5 }));
    await page(w, [{ user: ada, sockets: 1 }, { user: bob, sockets: 1 }]);
    assert.equal(asked(w).length, 2);
    await page(w, [{ user: bob, sockets: 1 }]);
    assert.deepEqual(chat.users, [bob]);
  });

  test('a lost connection ends the reading, and the next one begins it', async () => {
    const { w, chat } = inRoom();
    w.socket.receive(history({ users: [ada], userCount: 3, usersVersion: 3 }));
    w.socket.end(1012);
    w.clock.advance(250);
    w.socket.open();
    w.socket.receive(history({ users: [bob], userCount: 2, usersVersion: 1, recovered: true }));
    await settled();
    assert.deepEqual(asked(w), [{ type: 'members', after: 0 }]);
    await page(w, [{ user: bob, sockets: 1 }, { user: eve, sockets: 1 }]);
    assert.deepEqual(chat.users, [bob, eve]);
  });

  for (const message of [
    { type: 'room-history' },
    { type: 'room-history', users: 'all' },
    { type: 'room-history', users: [null, 7, {}, { id: {} }] },
    { type: 'user-joined' },
    { type: 'user-joined', message: 'User joined room lobby', userCount: 2 },
    { type: 'user-left', user: null },
    { type: 'typing', user: 'ada' },
    { type: 'chat-message' },
  ]) {
    test(`${JSON.stringify(message)} is survived`, () => {
      const { w, chat } = inRoom();
      delete chat.handleMessage;
      for (const name of ['displayMessage', 'displayNotification', 'displayError']) {
        chat[name] = () => {};
      }
      w.socket.receive(message);
      assert.deepEqual(chat.users, []);
      assert.equal(chat.state, State.Connected);
    });
  }

  for (const type of ['users', 'typing-users']) {
    test(`the server cannot forge the event ${type}`, () => {
      const { w, chat } = inRoom();
      const events = record(chat, type);
      w.socket.receive({ type });
      assert.deepEqual(events, []);
    });
  }
});

describe('the messages that came', () => {
  test('are those of the history and what was said since, 500 at most', () => {
    const { w, chat } = inRoom();
    assert.deepEqual(chat.recentMessages, []);
    w.socket.receive({ type: 'room-history', messages: [said(1, ada, 'a')], users: [ada], epoch: 'e', offset: 1 });
    w.socket.receive({ ...said(2, bob, 'b'), offset: 2 });
    w.socket.receive({ ...said(2, bob, 'b'), offset: 2 });
    assert.deepEqual(chat.recentMessages.map(({ text }) => text), ['a', 'b']);
    chat.recentMessages.push('mine');
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.open();
    const missed = [{ ...said(3, ada, 'c'), offset: 3 }];
    w.socket.receive({ type: 'room-history', messages: missed, users: [ada], epoch: 'e', offset: 3, recovered: true });
    assert.deepEqual(chat.recentMessages.map(({ text }) => text), ['a', 'b', 'c']);
    for (let n = 4; n <= 600; n += 1) w.socket.receive({ ...said(n, ada, `n${n}`), offset: n });
    assert.deepEqual([chat.recentMessages.length, chat.recentMessages[0].id, chat.recentMessages.at(-1).id], [500, 101, 600]);
  });

  test('are replaced by a history that replaces what is shown, and forgotten with the room', () => {
    const { w, chat } = inRoom();
    w.socket.receive({ type: 'room-history', messages: [said(1, ada, 'a')], users: [ada], epoch: 'e', offset: 1 });
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.open();
    w.socket.receive({ type: 'room-history', messages: [said(9, ada, 'z')], users: [ada], epoch: 'f', offset: 9, recovered: false, reason: 'epoch' });
    assert.deepEqual(chat.recentMessages.map(({ text }) => text), ['z']);
    chat.disconnect();
    chat.roomId = 'other';
    chat.connect();
    assert.deepEqual(chat.recentMessages, []);
  });
});

describe('typing', () => {
  test('is announced again after three seconds, also when the clock is set back meanwhile', () => {
    const { w, chat } = inRoom();
    chat.sendTyping(true);
    w.clock.adjust(-3_600_000);
    w.clock.advance(2_999);
    chat.sendTyping(true);
    assert.equal(w.socket.sent.length, 1);
    w.clock.advance(1);
    chat.sendTyping(true);
    assert.equal(w.socket.sent.length, 2);
  });

  test('the others are listed until they stop, speak, leave or fall silent', () => {
    const { w, chat } = inRoom();
    const typing = record(chat, 'typing-users');
    w.socket.receive({ type: 'room-history', messages: [], users: [ada, bob, eve] });
    const types = (user) => w.socket.receive({ type: 'typing', user, isTyping: true });

    types(ada);
    w.socket.receive({ type: 'typing', user: ada, isTyping: false });
    types(bob);
    w.socket.receive(said(1, bob, 'there'));
    types(eve);
    w.socket.receive({ type: 'user-left', user: eve, userCount: 2 });
    types(ada);
    w.clock.advance(6_000);
    assert.deepEqual(typing, [[ada], [], [bob], [], [eve], [], [ada], []]);
    assert.deepEqual(chat.typingUsers, []);
  });

  test('nobody types on a connection that is lost', () => {
    const { w, chat } = inRoom();
    w.socket.receive({ type: 'typing', user: ada, isTyping: true });
    chat.disconnect();
    assert.deepEqual(chat.typingUsers, []);
    assert.equal(w.clock.pending, 0);
  });

  test('telling it at each key press sends one message per three seconds', () => {
    const { w, chat } = inRoom();
    for (let i = 0; i < 30; i += 1) {
      assert.equal(chat.sendTyping(true), true);
      w.clock.advance(100);
    }
    assert.deepEqual(w.socket.sent, [{ type: 'typing', isTyping: true }]);
    chat.sendTyping(true);
    assert.equal(w.socket.sent.length, 2);
  });

  test('the end is told once, and only after a beginning', () => {
    const { w, chat } = inRoom();
    chat.sendTyping(false);
    assert.deepEqual(w.socket.sent, []);
    chat.sendTyping(true);
    chat.sendTyping(false);
    chat.sendTyping(false);
    assert.deepEqual(w.socket.sent, [
      { type: 'typing', isTyping: true },
      { type: 'typing', isTyping: false },
    ]);
  });

  test('after a message, and on a new connection, typing is told anew', () => {
    const { w, chat } = inRoom();
    chat.sendTyping(true);
    chat.sendMessage('hello');
    chat.sendTyping(true);
    assert.deepEqual(w.socket.sent.map(({ type }) => type), ['typing', 'chat', 'typing']);
    w.socket.end(1006);
    assert.equal(chat.sendTyping(true), false);
    w.clock.advance(250);
    w.socket.open();
    assert.equal(chat.sendTyping(true), true);
    assert.deepEqual(w.socket.sent, [{ type: 'typing', isTyping: true }]);
  });
});

test('a private message names its target as the token does', () => {
  const { w, chat } = inRoom();
  const received = record(chat, 'private-message');
  const confirmed = record(chat, 'private-message-sent');
  assert.equal(chat.sendPrivate(3, 'psst'), true);
  assert.equal(chat.sendPrivate('b', 'psst'), true);
  assert.deepEqual(w.socket.sent, [
    { type: 'private', targetUserId: 3, text: 'psst' },
    { type: 'private', targetUserId: 'b', text: 'psst' },
  ]);
  const answer = { type: 'private-message-sent', to: 3, text: 'psst' };
  const message = { type: 'private-message', text: 'hm', from: eve, timestamp: '2026-01-31T09:05:07.123Z' };
  w.socket.receive(answer);
  w.socket.receive(message);
  assert.deepEqual(confirmed, [answer]);
  assert.deepEqual(received, [message]);
});

for (const options of [{ typingExpiryMs: 0 }, { typingRepeatMs: -1 }, { maxReconnectAttempts: -1 }]) {
  test(`the options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(() => new ChatClient('lobby', 'jwt', { ...world().options, ...options }), {
      code: 'invalid-option',
    });
  });
}

describe('a room that keeps positions', () => {
  const at = (offset, text = `n ${offset}`) => ({ ...said(offset, ada, text), offset });
  const history = (fields) => ({ type: 'room-history', messages: [], users: [ada], ...fields });

  function recovering() {
    const { w, chat } = inRoom();
    w.socket.receive(history({ messages: [at(1)], epoch: 'e', offset: 1 }));
    const events = [];
    for (const type of ['chat-message', 'recovered', 'gap', 'room-history', 'users']) {
      chat.on(type, (event) => events.push([type, event.offset ?? event]));
    }
    const reconnect = () => {
      w.socket.end(1006);
      w.network.dispatchEvent(new Event('online'));
      w.socket.open();
    };
    return { w, chat, events, reconnect };
  }

  test('is entered again from where it was left, and only what was missed is told', () => {
    const { w, chat, events, reconnect } = recovering();
    const handled = [];
    chat.handleMessage = ({ type, offset }) => handled.push(`${type} ${offset}`);
    w.socket.receive(at(2));
    reconnect();
    const { searchParams } = new URL(w.socket.url);
    assert.deepEqual(Object.fromEntries(searchParams), { epoch: 'e', offset: '2', token: 'jwt' });
    // Bob has two windows: whoever counts them sees him until the second one is closed.
    w.socket.receive(history({ messages: [at(3), at(4)], users: [bob, ada, bob], epoch: 'e', offset: 4, recovered: true }));
    w.socket.receive(at(4));
    w.socket.receive(at(5));
    assert.deepEqual(events, [
      ['chat-message', 2],
      ['users', [bob, ada]],
      ['recovered', { missed: 2, users: [bob, bob, ada] }],
      ['chat-message', 3],
      ['chat-message', 4],
      ['chat-message', 5],
    ]);
    assert.deepEqual(handled, ['chat-message 2', 'chat-message 3', 'chat-message 4', 'chat-message 5']);
  });

  test('is told what was deleted, then and in the place of what was missed', () => {
    const { w, chat, events, reconnect } = recovering();
    chat.on('deleted', ({ offset }) => events.push(['deleted', offset]));
    w.socket.receive(at(2));
    w.socket.receive({ type: 'deleted', offset: 1 });
    assert.deepEqual(chat.recentMessages.map(({ offset }) => offset), [2]);
    reconnect();
    events.length = 0;
    const missed = [at(3), { type: 'deleted', offset: 4 }, at(5), { type: 'deleted', offset: 6 }];
    w.socket.receive(history({ messages: missed, epoch: 'e', offset: 6, recovered: true }));
    w.socket.receive(at(7));
    w.socket.receive({ type: 'deleted', offset: 5 });
    assert.deepEqual(events.filter(([type]) => type !== 'users' && type !== 'recovered'), [
      ['chat-message', 3],
      ['deleted', 4],
      ['chat-message', 5],
      ['deleted', 6],
      ['chat-message', 7],
      ['deleted', 5],
    ]);
    assert.deepEqual(chat.recentMessages.map(({ offset }) => offset), [2, 3, 7]);
  });

  test('that cannot be recovered tells the gap, and the history that replaces what is shown', () => {
    const { w, events, reconnect } = recovering();
    reconnect();
    w.socket.receive(history({ messages: [at(9)], epoch: 'e', offset: 9, recovered: false, reason: 'history' }));
    w.socket.receive(at(10));
    assert.deepEqual(events, [
      ['users', [ada]],
      ['gap', { type: 'gap', reason: 'history', from: 2, to: 9 }],
      ['room-history', 9],
      ['chat-message', 10],
    ]);
  });

  test('tells what is lost on the way', () => {
    const { w, events } = recovering();
    w.socket.receive({ type: 'gap', from: 2, to: 3, epoch: 'e' });
    w.socket.receive(at(6));
    assert.deepEqual(events, [
      ['gap', { type: 'gap', reason: 'slow', from: 2, to: 3 }],
      ['gap', { type: 'gap', reason: 'skipped', from: 4, to: 5 }],
      ['chat-message', 6],
    ]);
  });

  test('is not mistaken for another one', () => {
    const { w, chat, reconnect } = recovering();
    chat.roomId = 'porch';
    reconnect();
    assert.deepEqual([...new URL(w.socket.url).searchParams.keys()], ['token']);
  });

  test('confirms what is said', async () => {
    const { w, chat } = recovering();
    const saying = chat.say('hello');
    const { id, ...message } = w.socket.sent[0];
    assert.deepEqual(message, { type: 'chat', text: 'hello' });
    w.socket.receive({ type: 'ack', id, epoch: 'e', offset: 2, messageId: 2 });
    assert.equal((await saying).messageId, 2);
  });

  test('hands out older messages, and forgets the question with the connection', async () => {
    const { w, chat, reconnect } = recovering();
    const page = chat.history(51, 20);
    const { id, ...question } = w.socket.sent[0];
    assert.deepEqual(question, { type: 'history', before: 51, limit: 20 });
    const answer = { type: 'history', messages: [said(50, bob, 'old')], epoch: 'e', more: true };
    w.socket.receive({ ...answer, id });
    assert.deepEqual(await page, { ...answer, id });

    const lost = chat.history(50);
    assert.deepEqual(Object.keys(w.socket.sent[1]).sort(), ['before', 'id', 'type']);
    reconnect();
    await assert.rejects(lost, { code: 'unconfirmed' });
    assert.deepEqual(w.socket.sent, []);
  });

  for (const forged of ['recovered', 'gap']) {
    test(`is the only one to make the event ${forged}`, () => {
      const { w, events } = recovering();
      w.socket.receive({ type: forged });
      assert.deepEqual(events, []);
    });
  }
});

describe('a room that keeps no positions', () => {
  test('says that something may be missing, and confirms nothing', async () => {
    const { w, chat } = inRoom();
    const early = chat.say('early');
    const gaps = record(chat, 'gap');
    w.socket.receive({ type: 'room-history', messages: [], users: [] });
    await assert.rejects(early, { code: 'unsupported' });
    await assert.rejects(chat.say('late'), { code: 'unsupported' });
    assert.deepEqual(gaps, []);
    w.socket.end(1006);
    w.clock.advance(250);
    w.socket.open();
    w.socket.receive({ type: 'room-history', messages: [], users: [] });
    assert.deepEqual(gaps, [{ type: 'gap', reason: 'unknown' }]);
  });
});
