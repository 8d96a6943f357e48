import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';

import { ChatClient, State } from '../src/index.js';
import { record, world } from './kit/world.js';

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
    w.socket.receive({ type: 'error', message: 'Unknown message type' });
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

describe('typing', () => {
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
