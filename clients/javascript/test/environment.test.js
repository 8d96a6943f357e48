import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import ws from 'ws';

import { findWebSocket, resolveEnvironment } from '../src/environment.js';
import { ChatClient, LiveClient } from '../src/index.js';

// Newer versions of Node have a WebSocket; these tests decide themselves.
const platformWebSocket = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');

function setPlatformWebSocket(value) {
  Object.defineProperty(globalThis, 'WebSocket', { value, configurable: true, writable: true });
}

afterEach(() => {
  delete globalThis.WebSocket;
  if (platformWebSocket) Object.defineProperty(globalThis, 'WebSocket', platformWebSocket);
  delete globalThis.addEventListener;
});

test('where the platform has no WebSocket, that of an installed `ws` is found', () => {
  setPlatformWebSocket(undefined);
  assert.equal(findWebSocket(), ws);
});

test('without any WebSocket clients can be made, and connecting says what to pass', (t) => {
  setPlatformWebSocket(undefined);
  t.mock.method(process, 'getBuiltinModule', () => undefined);
  const chat = new ChatClient('lobby', 'jwt');
  assert.equal(chat.state, 'closed');
  const live = new LiveClient('jwt');
  live.subscribe('posts');
  assert.throws(() => live.connect(), {
    name: 'ClientError',
    code: 'no-websocket',
    message: /\{ WebSocket \}.*'ws'/,
  });
  assert.equal(live.state, 'closed');
});

test("the platform's WebSocket is used, and one that is passed in comes first", () => {
  class Platform {}
  class Passed {}
  setPlatformWebSocket(Platform);
  assert.equal(findWebSocket(), Platform);
  assert.equal(findWebSocket(Passed), Passed);
});

test('the network is the page where it has events, and can be switched off', () => {
  setPlatformWebSocket(class {});
  assert.equal(resolveEnvironment().network, null);
  globalThis.addEventListener = () => {};
  assert.equal(resolveEnvironment().network, globalThis);
  assert.equal(resolveEnvironment({ network: null }).network, null);
});

test('durations are measured by a time that only rises, whatever the clock says', (t) => {
  const { now } = resolveEnvironment();
  const before = now();
  t.mock.method(Date, 'now', () => 7);
  assert.ok(now() - before >= 0 && now() - before < 60_000);
  assert.equal(resolveEnvironment().date(), 7);
});
