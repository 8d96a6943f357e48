// What the program answers over HTTP: the page, its health, and every refusal before an upgrade.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { within } from '../support/patience.js';
import { ROOT } from '../support/program.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { token } from '../support/token.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

/** @param {string} address */
async function get(address, headers = {}) {
  const response = await fetch(server.http(address), { headers });
  const { status } = response;
  return { status, headers: response.headers, type: response.headers.get('content-type') ?? '', text: await response.text() };
}

test('/healthz says that the process serves', async () => {
  const { status, text } = await get('/healthz');
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), { status: 'ok' });
});

describe('the page', () => {
  const SOURCES = /(?:src|href)="([^"#]+)/g;
  const IMPORTS = /^(?:import|export)\b(?:[^;'"]*\bfrom)?\s*['"]([^'"]+)['"]/gm;

  test('with everything that it loads is served by the program itself', async () => {
    const page = await get('/');
    assert.equal(page.status, 200);
    assert.match(page.type, /^text\/html/);

    const path = (/** @type {string} */ address, /** @type {string} */ from) => new URL(address, server.http(from)).pathname;
    const wanted = [...page.text.matchAll(SOURCES)].map(([, address]) => path(/** @type {string} */ (address), '/'));
    const seen = new Set();
    while (wanted.length > 0) {
      const address = /** @type {string} */ (wanted.pop());
      if (seen.has(address)) continue;
      seen.add(address);
      assert.match(address, /^\/(page|client)\//, 'an address elsewhere');
      const file = await get(address);
      assert.equal(file.status, 200, address);
      if (!address.endsWith('.js')) continue;
      assert.match(file.type, /^text\/javascript/, address);
      for (const [, specifier] of file.text.matchAll(IMPORTS)) {
        wanted.push(path(/** @type {string} */ (specifier), address));
      }
    }
    // Else the pattern above had gone blind.
    for (const address of ['/page/main.js', '/client/index.js', '/client/client.js']) {
      assert.ok(seen.has(address), `${address} among ${[...seen].join(' ')}`);
    }
  });

  test('may load from its own server only, and nothing may frame it', async () => {
    for (const address of ['/', '/page/main.js', '/client/index.js']) {
      const { headers } = await get(address);
      const policy = headers.get('content-security-policy') ?? '';
      const rules = new Map(policy.split(';').map((rule) => {
        const [name, ...sources] = rule.trim().split(/\s+/);
        return [name, sources.join(' ')];
      }));
      assert.equal(rules.get('default-src'), "'self'");
      assert.equal(rules.get('frame-ancestors'), "'none'");
      assert.equal(rules.get('base-uri'), "'none'");
      assert.doesNotMatch(policy, /unsafe|\*|https?:/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
    }
  });

  test('is not sent again to whoever has it', async () => {
    const { headers } = await get('/');
    const etag = headers.get('etag') ?? '';
    const again = await get('/', { 'if-none-match': etag });
    assert.equal(again.status, 304);
    assert.equal(again.text, '');
    assert.equal((await get('/', { 'if-none-match': '"another"' })).status, 200);
  });

  test('comes with the client as it is in the project', async () => {
    const { text } = await get('/client/chat-client.js');
    assert.equal(text, await readFile(path.join(ROOT, 'clients/javascript/src/chat-client.js'), 'utf8'));
  });
});

const ENDPOINTS = [
  '/chat',
  '/chat/den',
  '/private-chat/den',
  '/live',
  '/robust-chat/den',
  '/rooms/den',
  '/games/1/players/2',
];

/**
 * A GET with exactly these headers, also such as `fetch` and `ws` refuse to send.
 *
 * @param {string} address
 * @param {Record<string, string>} headers
 */
async function rawGet(address, headers) {
  const request = http.get(server.http(address), { headers, agent: false });
  // Node calls an answer with `Connection: upgrade` an upgrade only if its status is 101.
  const [response] = await within(
    Promise.race([
      once(request, 'response'),
      once(request, 'upgrade').then(() => assert.fail('upgraded')),
    ]),
    'an answer',
  );
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** @param {string} text */
function assertError(text) {
  const { type, message } = JSON.parse(text);
  assert.equal(type, 'error');
  assert.equal(typeof message, 'string');
}

describe('before the upgrade', () => {
  test('a plain GET of each endpoint is answered with 426 and what to upgrade to', async () => {
    for (const endpoint of ENDPOINTS) {
      const { status, headers, text } = await rawGet(endpoint, {});
      assert.equal(status, 426, endpoint);
      assert.equal(headers.upgrade, 'websocket');
      assertError(text);
    }
  });

  test('another version than 13 is answered with 426 and the version that is spoken', async () => {
    for (const version of ['8', '12', '14', '0', '255']) {
      const { status, headers } = await rawGet('/chat', { ...HANDSHAKE, 'sec-websocket-version': version });
      assert.equal(status, 426, version);
      assert.equal(headers['sec-websocket-version'], '13');
    }
  });

  test('a handshake without a usable key is refused', async () => {
    for (const key of ['', 'short', 'A'.repeat(64), 'not base64 at all, %%%%']) {
      const { status } = await rawGet('/chat', { ...HANDSHAKE, 'sec-websocket-key': key });
      assert.equal(status, 400, JSON.stringify(key));
    }
  });

  test('an unknown route is answered with 404', async () => {
    for (const address of ['/nowhere', '/chat/', '/chat/a/b', '/private-chat', '/games/1', '/page/nothing.js']) {
      assert.equal((await get(address)).status, 404, address);
      assert.equal((await Socket.refused(server.ws(address))).status, 404, address);
    }
  });

  test('no file outside the page can be had', async () => {
    for (const address of ['/page/../Cargo.toml', '/page/..%2fCargo.toml', '/client/%2e%2e/package.json', '/page/%2fetc%2fpasswd', '/page/..%2fLICENSE', '/client/..%2fLICENSE']) {
      // As it is written, where `fetch` would resolve the dots.
      const request = http.get({ host: '127.0.0.1', port: server.port, path: address, agent: false });
      const [response] = await within(once(request, 'response'), 'an answer');
      response.resume();
      assert.equal(response.statusCode, 404, address);
    }
  });

  test('an impossible name of a room is answered with 400 in JSON', async () => {
    for (const name of ['%00', 'line%0Abreak', 'x'.repeat(256), '%FF']) {
      for (const endpoint of ['rooms', 'chat', 'private-chat', 'robust-chat']) {
        const address = `/${endpoint}/${name}?token=${token('ada')}`;
        const { status, headers, body } = await Socket.refused(server.ws(address));
        assert.equal(status, 400, address);
        assert.match(headers['content-type'] ?? '', /^application\/json/);
        assertError(body);
      }
    }
  });

  test('a page of another origin may not connect, the own one may', async () => {
    for (const origin of ['https://evil.example', `http://${server.host}.evil.example`, 'null', `https://${server.host}`, 'http://127.0.0.1:1']) {
      const { status } = await Socket.refused(server.ws('/chat'), { origin });
      assert.equal(status, 403, origin);
    }
    const socket = await Socket.connect(server.ws('/chat'), { origin: `http://${server.host}` });
    await socket.close();
  });

  test('an origin that the command line allows may connect', async () => {
    const open = await Server.start({ args: ['--allow-origin', 'https://app.example'] });
    try {
      const socket = await Socket.connect(open.ws('/chat'), { origin: 'https://app.example' });
      await socket.close();
      const { status } = await Socket.refused(open.ws('/chat'), { origin: 'https://other.example' });
      assert.equal(status, 403);
    } finally {
      await open.stop();
    }
  });
});
