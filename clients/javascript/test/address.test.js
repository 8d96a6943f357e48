import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { defaultServer, endpointAddress, placeOf, webSocketAddress, withToken } from '../src/address.js';
import { ChatClient, LiveClient } from '../src/index.js';
import { world } from './kit/world.js';

/** Puts the module on a page. */
function visit(address) {
  globalThis.location = new URL(address);
}

afterEach(() => {
  delete globalThis.location;
});

for (const [given, expected] of [
  ['ws://a.example/x?y=1', 'ws://a.example/x?y=1'],
  ['wss://a.example:8443/', 'wss://a.example:8443/'],
  ['http://a.example/x', 'ws://a.example/x'],
  ['https://a.example/x', 'wss://a.example/x'],
  ['ws://a.example/x#fragment', 'ws://a.example/x'],
]) {
  test(`${given} becomes ${expected}`, () => {
    assert.equal(webSocketAddress(given), expected);
  });
}

test('a relative address is resolved against the page', () => {
  visit('https://a.example/app/index.html');
  assert.equal(webSocketAddress('/live'), 'wss://a.example/live');
  assert.equal(webSocketAddress('live'), 'wss://a.example/app/live');
});

for (const address of ['/live', 'ftp://a.example/', 'no address', '', undefined, 7, null]) {
  test(`${JSON.stringify(address)} without a page is refused`, () => {
    assert.throws(() => webSocketAddress(address), { code: 'invalid-address' });
  });
}

test('an error about an address does not quote it, because it may hold a token', () => {
  for (const address of ['ftp://a.example/?token=secret', '//?token=secret']) {
    assert.throws(
      () => webSocketAddress(address),
      (error) => !`${error.stack}${JSON.stringify(error)}${error.cause}`.includes('secret'),
    );
  }
});

test('the default server is the one the page came from', () => {
  visit('https://a.example:8443/app/?x#y');
  assert.equal(defaultServer(), 'wss://a.example:8443/');
  visit('http://127.0.0.1:3000/');
  assert.equal(defaultServer(), 'ws://127.0.0.1:3000/');
});

test('without a page that came from a server, the default is port 3000 of this machine', () => {
  assert.equal(defaultServer(), 'ws://localhost:3000');
  visit('file:///home/user/index.html');
  assert.equal(defaultServer(), 'ws://localhost:3000');
});

for (const [server, segments, token, expected] of [
  ['ws://a.example', ['live'], null, 'ws://a.example/live'],
  ['ws://a.example/', ['live'], undefined, 'ws://a.example/live'],
  ['ws://a.example', ['live'], '', 'ws://a.example/live'],
  ['https://a.example/base/', ['live'], 't', 'wss://a.example/base/live?token=t'],
  ['ws://a.example/?v=1', ['live'], 't', 'ws://a.example/live?v=1&token=t'],
  ['ws://a.example', ['chat', 'a/b?c#d é'], 'x&y=z', 'ws://a.example/chat/a%2Fb%3Fc%23d%20%C3%A9?token=x%26y%3Dz'],
  ['ws://a.example', ['chat', '%2e%2e'], 't', 'ws://a.example/chat/%252e%252e?token=t'],
]) {
  test(`the endpoint ${segments.join(' / ')} of ${server} is ${expected}`, () => {
    assert.equal(endpointAddress(server, segments, token), expected);
  });
}

test('a URL as in React Native, which has an href and no more, is enough', async () => {
  const { URL } = globalThis;
  const w = world();
  globalThis.URL = class {
    constructor(address, base) {
      this.href = new URL(address, base).href;
    }
  };
  try {
    for (const [server, expected] of [
      ['https://a.example', 'wss://a.example/live?token=x%26y'],
      ['ws://a.example/base/?v=1#f', 'ws://a.example/base/live?v=1&token=x%26y'],
    ]) {
      new LiveClient('x&y', { ...w.options, server }).connect();
      assert.equal(w.socket.url, expected);
    }
    const chat = new ChatClient('a/b', 't', { ...w.options, server: 'ws://a.example' });
    chat.connect();
    assert.equal(w.socket.url, 'ws://a.example/chat/a%2Fb?token=t');
    w.socket.open();
    w.socket.receive({ type: 'room-history', messages: [], users: [], epoch: 'é', offset: 7 });
    w.socket.end(1006);
    w.clock.advance(1_000);
    assert.equal(w.socket.url, 'ws://a.example/chat/a%2Fb?token=t&epoch=%C3%A9&offset=7');
    assert.throws(() => webSocketAddress('ftp://a.example'), { message: 'not for WebSocket: ftp:' });
    assert.throws(() => new LiveClient('t', { server: '/no/page' }), { code: 'invalid-address' });
  } finally {
    globalThis.URL = URL;
  }
});

test('the place of an address is without what changes, and with the rest of its query', () => {
  for (const [address, expected] of [
    ['ws://a.example/live?token=t', 'ws://a.example/live'],
    ['ws://a.example/live?epoch=e&v=1&offset=7&w=?&token=t', 'ws://a.example/live?v=1&w=?'],
    ['ws://a.example/live?tokens=1&constructor', 'ws://a.example/live?tokens=1&constructor'],
    ['ws://a.example/live?#f', 'ws://a.example/live'],
  ]) {
    assert.equal(placeOf(address), expected);
  }
});

test('a token is added to an address, and none changes nothing', () => {
  assert.equal(withToken('ws://a.example/x?y=1', 'a&b'), 'ws://a.example/x?y=1&token=a%26b');
  assert.equal(withToken('ws://a.example/x?token=old&y=1', 'new'), 'ws://a.example/x?y=1&token=new');
  for (const none of ['', null, undefined]) {
    assert.equal(withToken('ws://a.example/x', none), 'ws://a.example/x');
  }
});

for (const segment of ['', '.', '..', '\ud800']) {
  test(`the segment ${JSON.stringify(segment)} cannot be addressed`, () => {
    assert.throws(() => endpointAddress('ws://a.example', ['chat', segment], 't'), {
      code: 'invalid-address',
    });
  });
}
