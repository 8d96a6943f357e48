import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import ws from 'ws';

import { resolveEnvironment } from '../src/environment.js';

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
  assert.equal(resolveEnvironment().WebSocket, ws);
});

test('without any WebSocket the error says what to pass', (t) => {
  setPlatformWebSocket(undefined);
  t.mock.method(process, 'getBuiltinModule', () => undefined);
  assert.throws(() => resolveEnvironment(), {
    name: 'ClientError',
    code: 'no-websocket',
    message: /\{ WebSocket \}.*'ws'/,
  });
});

test("the platform's WebSocket is used, and one that is passed in comes first", () => {
  class Platform {}
  class Passed {}
  setPlatformWebSocket(Platform);
  assert.equal(resolveEnvironment().WebSocket, Platform);
  assert.equal(resolveEnvironment({ WebSocket: Passed }).WebSocket, Passed);
});

test('the network is the page where it has events, and can be switched off', () => {
  setPlatformWebSocket(class {});
  assert.equal(resolveEnvironment().network, null);
  globalThis.addEventListener = () => {};
  assert.equal(resolveEnvironment().network, globalThis);
  assert.equal(resolveEnvironment({ network: null }).network, null);
});
