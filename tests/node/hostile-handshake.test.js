// docs/hostile-cases.md, "Handshake": opening handshakes as no client should send them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LINUX_ONLY, MIB, Raw, Target, frame, frames, handshake } from '../support/hostile.js';
import { eventually, within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

/** @type {Server} */
let server;
/** @type {Target} */
let target;
before(async () => {
  server = await Server.start();
  target = new Target(server.port, server.program);
});
after(() => server.stop());

const NAMES_OF_OBJECTS = 'constructor, __proto__, hasOwnProperty, toString';
const FIGURES = /figures for Prometheus are at \S*:(\d+)/;
const BODY = '5\r\nhello\r\n0\r\n\r\n';

/**
 * What is refused, with the statuses that say so; 0 is an end without an answer.
 *
 * @typedef {[string, string | Buffer, number[]]} Broken
 */

/** @type {Broken[]} */
const BROKEN = [
  ...['0', '12', '14', '255', 'thirteen', ''].map(
    (version) => /** @type {Broken} */ ([`version ${version}`, handshake({ 'Sec-WebSocket-Version': version }), [400, 426]]),
  ),
  ['no version', handshake({ 'Sec-WebSocket-Version': null }), [400, 426]],
  ['no key', handshake({ 'Sec-WebSocket-Key': null }), [400]],
  ['an empty key', handshake({ 'Sec-WebSocket-Key': '' }), [400]],
  ['a key of 15 bytes', handshake({ 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') }), [400]],
  ['a key of 64 bytes', handshake({ 'Sec-WebSocket-Key': Buffer.alloc(64).toString('base64') }), [400]],
  ['a key that is no base64', handshake({ 'Sec-WebSocket-Key': '%%%%%%%%%%%%%%%%%%%%%%==' }), [400]],
  ['two keys', handshake({ 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'AAAAAAAAAAAAAAAAAAAAAA=='] }), [400]],
  ['no Upgrade', handshake({ Upgrade: null }), [426]],
  ['an upgrade to h2c', handshake({ Upgrade: 'h2c' }), [426]],
  ['an upgrade to websockets', handshake({ Upgrade: 'websockets' }), [426]],
  ['no Connection', handshake({ Connection: null }), [426]],
  ['Connection: keep-alive', handshake({ Connection: 'keep-alive' }), [426]],
  ['Connection: notupgrade', handshake({ Connection: 'notupgrade' }), [426]],
  ['a POST', handshake({}, 'POST /chat HTTP/1.1'), [405]],
  ['HTTP/1.0', handshake({}, 'GET /chat HTTP/1.0'), [400, 426, 505]],
  ['no Host', handshake({ Host: null }), [400]],
  ['two Hosts', handshake({ Host: ['localhost', 'evil.example'] }), [400]],
  ['a space before a colon', handshake({ 'Host ': 'localhost' }), [400]],
  ['a name of a header that is none', handshake({ 'b@d[]': 'x' }), [400]],
  ['a line that goes on in the next one', handshake({ A: 'b\r\n c' }), [400]],
  ['a NUL in a header', handshake({ A: '\0' }), [400]],
  ['two spaces in the first line', handshake({}, 'GET  /chat HTTP/1.1'), [400]],
  ['no version of HTTP', handshake({}, 'GET /chat'), [400]],
  ['HTTP/9.9', handshake({}, 'GET /chat HTTP/9.9'), [400, 505]],
  ['the start of TLS', Buffer.from('16030102000100 01fc0303000102030d0a0d0a'.replace(' ', ''), 'hex'), [0, 400]],
  ['noise', Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919 + (at >> 3)) & 0xff)), [0, 400, 431]],
  ['a header of 1 MiB', handshake({ A: 'x'.repeat(MIB) }), [0, 400, 431]],
  ['20,000 headers', handshake({ A: Array.from({ length: 20_000 }, () => 'b') }), [0, 400, 431]],
  ['a target of 1 MiB', handshake({}, `GET /chat?${'x'.repeat(MIB)} HTTP/1.1`), [0, 400, 414, 431]],
  ['1,000 subprotocols', handshake({ 'Sec-WebSocket-Protocol': Array.from({ length: 1_000 }, (_, at) => `p${at}`).join(', ') }), [400]],
  ['subprotocols that are no list', handshake({ 'Sec-WebSocket-Protocol': `${' \t'.repeat(3_000)}(` }), [400]],
  ['a body of 5 bytes', handshake({ 'Content-Length': '5' }) + BODY, [400]],
  ['a body of +5 bytes', handshake({ 'Content-Length': '+5' }) + BODY, [400]],
  ['a body of two lengths', handshake({ 'Content-Length': ['0', '11'] }) + BODY, [400]],
  ['a body in chunks', handshake({ 'Transfer-Encoding': 'chunked' }) + BODY, [400, 501]],
  ['a body of both', handshake({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }) + BODY, [400]],
  ['a body that is coded twice', handshake({ 'Transfer-Encoding': ['chunked', 'identity'] }) + BODY, [400, 501]],
  ...[
    'https://evil.example', 'null', 'http://', 'file://', 'ftp://chat.test:3000', 'https://chat.test:3000', 'http://chat.test',
    'http://chat.test:3001', 'http://chat.test:3000.evil.example', 'http://evil.example/chat.test:3000',
    'http://chat.test:3000@evil.example', 'http://evilchat.test:3000',
  ].map((origin) => /** @type {Broken} */ ([`a page of ${origin}`, handshake({ Host: 'chat.test:3000', Origin: origin }), [403]])),
  ['two origins', handshake({ Origin: ['http://localhost', 'https://evil.example'] }), [400, 403]],
  // A proxy that took any answer for an upgrade would let through what follows.
  ['a path that there is not', handshake({}, 'GET /nowhere HTTP/1.1'), [404]],
  ['a path that is no endpoint', handshake({}, 'GET /healthz HTTP/1.1'), [200]],
];

describe('a handshake is refused, and what follows it is not answered:', LINUX_ONLY, () => {
  for (const [name, request, statuses] of BROKEN) {
    test(name, async () => {
      await target.withstands(async () => {
        const raw = await Raw.connect(server.port);
        raw.write(Buffer.concat([Buffer.from(request), frame(1, 'behind it')]));
        await raw.over();
        const { status, headers } = await raw.head();
        assert.ok(statuses.includes(status), raw.received.toString('latin1').slice(0, 500));
        if (status > 0) {
          assert.match(headers.connection ?? '', /\bclose\b/);
        }
        if (name.includes('version ') && status === 426) assert.equal(headers['sec-websocket-version'], '13');
        assert.equal(raw.received.toString('latin1').match(/HTTP\/1\.[01] /g)?.length ?? 0, status > 0 ? 1 : 0);
        assert.ok(!raw.received.includes('Echo: '));
      }, { growth: 8 * MIB });
    });
  }
});

/**
 * What is taken, and the subprotocol that is chosen: an endpoint that names none speaks the first.
 *
 * @type {[string, Record<string, string | string[]>, string?][]}
 */
const TAKEN = [
  ['Connection as a list, in any case', { Connection: 'keep-alive, UPGRADE', Upgrade: 'foo, WebSocket' }],
  ['Connection in two lines', { Connection: ['keep-alive', 'upgrade'] }],
  ['names of objects as subprotocols', { 'Sec-WebSocket-Protocol': NAMES_OF_OBJECTS }, 'constructor'],
  ['names of objects as extensions', { 'Sec-WebSocket-Extensions': NAMES_OF_OBJECTS }],
  ['extensions with names of objects as parameters', { 'Sec-WebSocket-Extensions': 'permessage-deflate; __proto__=1; constructor' }],
  ['an extension of 12 kB that is never closed', { 'Sec-WebSocket-Extensions': `x; a="${'\\"'.repeat(6_000)}` }],
  ['4,000 extensions', { 'Sec-WebSocket-Extensions': Array.from({ length: 4_000 }, () => 'x').join(', ') }],
  ['a subprotocol and an extension that there are not', { 'Sec-WebSocket-Protocol': 'soap, mqtt', 'Sec-WebSocket-Extensions': 'x-webkit-deflate-frame' }, 'soap'],
  ['the page of its own origin', { Origin: 'http://localhost' }],
];

describe('a handshake is taken, and no extension is chosen:', LINUX_ONLY, () => {
  for (const [name, changed, subprotocol] of TAKEN) {
    test(name, async () => {
      await target.withstands(async () => {
        const raw = await Raw.upgraded(server.port, changed);
        const { headers } = /** @type {any} */ (raw);
        assert.equal(headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
        assert.equal(headers['sec-websocket-protocol'], subprotocol);
        assert.equal(headers['sec-websocket-extensions'], undefined);
        raw.write(Buffer.concat([frame(1, 'hello'), frame(8)]));
        const { code, frames: [, echo] } = await raw.closed();
        assert.deepEqual([echo.payload.toString(), code], ['Echo: hello', 1005]);
      });
    });
  }
});

test('a handshake may come byte by byte, and frames in the same segment as it', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const [slow, early] = await Promise.all([Raw.connect(server.port), Raw.connect(server.port)]);
    early.write(Buffer.concat([Buffer.from(handshake()), frame(1, 'early'), frame(8)]));
    for (const byte of Buffer.from(handshake())) {
      await new Promise((resolve) => slow.socket.write(Buffer.from([byte]), resolve));
    }
    assert.equal((await slow.head()).status, 101);
    const { length } = await early.head();
    await early.over();
    const [, echo, close] = frames(early.received.subarray(length));
    assert.deepEqual([echo.payload.toString(), close.opcode], ['Echo: early', 8]);
    slow.reset();
  });
});

test('a header without an end is cut off early', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await Raw.connect(server.port);
    raw.write('GET /chat HTTP/1.1\r\nHost: localhost\r\nA: ');
    const taken = await raw.flood(Buffer.alloc(4096, 'x'));
    // With what the buffers of both sides hold.
    assert.ok(taken < 16 * MIB, `${taken} bytes were taken`);
    raw.reset();
  });
});

test('3,000 half handshakes, silence and a byte now and then are ended in the time for the head', LINUX_ONLY, async (t) => {
  const hasty = await Server.start({ args: ['--head-timeout', '3s'] });
  t.after(() => hasty.stop());
  await new Target(hasty.port, hasty.program).withstands(async () => {
    const begun = performance.now();
    const half = async (/** @type {string} */ start) => {
      const raw = await Raw.connect(hasty.port);
      raw.write(start);
      return raw;
    };
    const halves = [];
    for (let count = 0; count < 3_000; count += 100) {
      const next = Array.from({ length: 100 }, (_, at) => half(at % 2 ? '' : handshake().slice(0, 60)));
      halves.push(...(await Promise.all(next)));
    }
    const slow = await Raw.connect(hasty.port);
    const dripping = (async () => {
      for (const byte of handshake({ A: 'x'.repeat(10_000) })) {
        if (slow.isOver || slow.socket.destroyed) return;
        slow.write(byte);
        await Promise.race([slow.until(() => false), new Promise((resolve) => setTimeout(resolve, 200))]);
      }
    })();
    await Promise.all([slow, ...halves].map((raw) => raw.over()));
    await dripping;
    assert.ok([slow, ...halves].every((raw) => !raw.received.includes(' 101 ')));
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(seconds > 2.9 && seconds < 40, `${seconds} s`);
    // 3,000 tasks of a debug build with the heads that they have begun to read.
  }, { growth: 96 * MIB });
});

test('an address with too many connections is told so, without waiting beyond twice of them, and counted', LINUX_ONLY, async () => {
  const few = await Server.start({ args: ['--connections-per-address', '4', '--metrics-listen', '127.0.0.1:0'] });
  try {
    // The bystander is the first of four.
    await new Target(few.port, few.program).withstands(async () => {
      const sockets = [];
      for (let count = 0; count < 3; count += 1) sockets.push(await Raw.upgraded(few.port));
      const refused = [];
      for (let count = 0; count < 4; count += 1) {
        const raw = await Raw.connect(few.port);
        raw.write(handshake());
        const { status, headers } = await raw.head();
        assert.equal(status, 429, raw.received.toString('latin1'));
        assert.match(headers.connection ?? '', /\bclose\b/);
        refused.push(raw);
      }
      await Promise.all(refused.map((raw) => raw.over()));
      // Connections that say nothing count as well.
      const silent = await Promise.all(Array.from({ length: 12 }, () => Raw.connect(few.port)));
      await within(
        (async () => {
          while (silent.filter((raw) => raw.isOver).length < 8) await Promise.race(silent.filter((raw) => !raw.isOver).map((raw) => raw.over()));
        })(),
        'the connections beyond twice the limit to be ended',
      );
      assert.ok(silent.some((raw) => raw.received.includes(' 429 ')));
      for (const raw of [...sockets, ...silent]) raw.reset();
    });
    await eventually(() => FIGURES.test(few.program.stderr), 'the address of the figures');
    const [, figures] = few.program.stderr.match(FIGURES) ?? [];
    const metrics = await (await fetch(`http://127.0.0.1:${figures}/metrics`)).text();
    const [, refusals] = metrics.match(/^nextrush_refusals_total\{code="too-many-connections"\} (\d+)$/m) ?? [];
    // Those who had asked, and some of those who had not.
    assert.ok(Number(refusals) > 4, refusals);
    const socket = await Socket.connect(few.ws('/chat'));
    await socket.close();
  } finally {
    await few.stop();
  }
});
