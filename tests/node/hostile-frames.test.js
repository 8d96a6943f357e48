// docs/hostile-cases.md, "Frames": what RFC 6455 forbids, byte by byte.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LINUX_ONLY, MIB, Raw, Target, frame, lengthOf } from '../support/hostile.js';
import { Server } from '../support/server.js';

const LIMIT = 64 * 1024;
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const FIRST = { isLast: false };

/** @type {Server} */
let server;
/** @type {Target} */
let target;
before(async () => {
  server = await Server.start();
  target = new Target(server.port, server.program);
});
after(() => server.stop());

/** @param {number} code */
const closing = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));

/** @param {string} hex the eight bytes of a long length */
const announced = (hex) => ({ length: Buffer.from(`7f${hex}`, 'hex') });

/** @typedef {[string, Buffer | Buffer[], number]} Violation */

const NO_UTF8 = {
  'a byte that never occurs': 'ff',
  'a continuation alone': '80',
  'two continuations alone': '80bf',
  'a start of two alone': 'c3',
  'a start of three with one': 'e282',
  'a start of four with two': 'f09f98',
  'a slash in two bytes': 'c0af',
  'a slash in three bytes': 'e080af',
  'a slash in four bytes': 'f08080af',
  'half of a surrogate pair': 'eda080',
  'beyond the last character': 'f4908080',
};

/** @type {Violation[]} */
const VIOLATIONS = [
  ...[TEXT, PING, CONTINUATION].map((opcode) => /** @type {Violation} */ ([`opcode ${opcode} without a mask`, frame(opcode, 'x', { isMasked: false }), 1002])),
  ...[1, 2, 4].flatMap((rsv) =>
    [TEXT, BINARY, PING, CLOSE].map((opcode) => /** @type {Violation} */ ([`reserved bits ${rsv} on opcode ${opcode}`, frame(opcode, '', { rsv }), 1002])),
  ),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => /** @type {Violation} */ ([`opcode ${opcode}`, frame(opcode), 1002])),
  ...[CLOSE, PING, PONG].flatMap((opcode) => /** @type {Violation[]} */ ([
    [`opcode ${opcode} with 126 bytes`, frame(opcode, 'x'.repeat(126)), 1002],
    [`opcode ${opcode} with a long length`, frame(opcode, '', announced('0000000000000001')), 1002],
    [`opcode ${opcode} in fragments`, frame(opcode, '', FIRST), 1002],
  ])),
  ['a continuation of nothing', frame(CONTINUATION, 'x'), 1002],
  ['a continuation after the end', [frame(TEXT, 'a', FIRST), frame(CONTINUATION, 'b'), frame(CONTINUATION, 'c')], 1002],
  ['a message inside a message', [frame(TEXT, 'a', FIRST), frame(TEXT, 'b')], 1002],
  ['a length with its highest bit', frame(BINARY, '', announced('8000000000000000')), 1002],
  ['a length of 2^63 - 1', frame(BINARY, '', announced('7fffffffffffffff')), 1009],
  ['a length of 2^32 + 10', frame(BINARY, '', announced('000000010000000a')), 1009],
  ['a short length in two bytes', frame(TEXT, 'x'.repeat(125), { length: Buffer.from([126, 0, 125]) }), 1002],
  ['a length of two bytes in eight', frame(TEXT, 'x'.repeat(300), announced('000000000000012c')), 1002],
  ['one byte over the limit, by its header alone', frame(BINARY, '', { length: lengthOf(LIMIT + 1) }), 1009],
  ['fragments that together are over the limit', [frame(BINARY, Buffer.alloc(LIMIT), FIRST), frame(CONTINUATION, '', { length: Buffer.from([1]) })], 1009],
  ['fragments over the limit with pings between', [
    ...Array.from({ length: 16 }, (_, at) => Buffer.concat([frame(at ? CONTINUATION : BINARY, Buffer.alloc(LIMIT / 16), FIRST), frame(PING)])),
    frame(CONTINUATION, 'x'),
  ], 1009],
  ['a Close of one byte', frame(CLOSE, 'x'), 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999].map((code) => /** @type {Violation} */ ([`a Close with ${code}`, closing(code), 1002])),
  ['a Close whose reason is no UTF-8', frame(CLOSE, Buffer.from([3, 232, 0xff])), 1007],
  ...Object.entries(NO_UTF8).map(([name, hex]) => /** @type {Violation} */ ([`a text with ${name}`, frame(TEXT, Buffer.from(`61${hex}62`, 'hex')), 1007])),
  ['bad UTF-8 in the last fragment', [frame(TEXT, 'a', FIRST), frame(CONTINUATION, Buffer.from('c3', 'hex'), FIRST), frame(CONTINUATION, 'b')], 1007],
  ['bad UTF-8 before the last fragment', frame(TEXT, Buffer.from('61ff', 'hex'), FIRST), 1007],
  ['bad UTF-8 at the start of a long frame', frame(TEXT, Buffer.from('61ff', 'hex'), { length: lengthOf(1000) }), 1007],
];

describe('a violation is answered with its code, and what follows is ignored:', LINUX_ONLY, () => {
  for (const [name, bytes, expected] of VIOLATIONS) {
    test(name, async () => {
      const raw = await Raw.upgraded(server.port);
      raw.write(Buffer.concat([bytes].flat()));
      raw.write(frame(TEXT, 'behind it'));
      const { code, frames } = await raw.closed();
      assert.equal(code, expected);
      const texts = frames.filter(({ opcode }) => opcode === TEXT).map(({ payload }) => payload.toString());
      // A continuation after the end comes behind a whole message.
      assert.deepEqual(texts.slice(0, 1), ['Welcome to the chat!']);
      assert.ok(!texts.includes('Echo: behind it'));
    });
  }
});

test('hundreds of connections with each violation harm nobody', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        VIOLATIONS.map(async ([, bytes]) => {
          const raw = await Raw.upgraded(server.port);
          raw.write(Buffer.concat([bytes].flat()));
          await raw.closed();
        }),
      );
    }
  });
});

test('an announced payload that never comes takes no memory', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const held = await Promise.all(Array.from({ length: 500 }, () => Raw.upgraded(server.port)));
    for (const raw of held) raw.write(frame(BINARY, 'x', { length: lengthOf(LIMIT) }));
    // It has been read when what another one says later is answered.
    const last = await Raw.upgraded(server.port);
    last.write(frame(TEXT, 'last'));
    await last.frames(2);
    for (const raw of [...held, last]) raw.reset();
    // 31 MiB were announced.
  }, { growth: 12 * MIB });
});

test('a message of exactly the limit is delivered, whole and in fragments', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await Raw.upgraded(server.port);
    const half = Buffer.alloc(LIMIT / 2, 'x');
    raw.write(Buffer.concat([frame(TEXT, Buffer.concat([half, half])), frame(TEXT, half, FIRST), frame(CONTINUATION, half)]));
    const [, whole, parts] = await raw.frames(3);
    assert.equal(whole.payload.length, 'Echo: '.length + LIMIT);
    assert.ok(parts.payload.equals(whole.payload));
    raw.reset();
  });
});

test('a Close is answered with its code, once, and the server ends the connection', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (const [sent, expected] of [[frame(CLOSE), 1005], [closing(1000), 1000], [closing(1001, 'gone'), 1001], [closing(3000), 3000], [closing(4999), 4999]]) {
      const raw = await Raw.upgraded(server.port);
      raw.write(Buffer.concat([/** @type {Buffer} */ (sent), frame(TEXT, 'behind it'), closing(1002)]));
      const { code, frames } = await raw.closed();
      assert.deepEqual([code, frames.length], [expected, 1]);
    }
  });
});

test('a character may be split at every byte', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await Raw.upgraded(server.port);
    const text = 'aé世👋\u{10ffff}';
    const bytes = [...Buffer.from(text)];
    raw.write(Buffer.concat(bytes.map((byte, at) => frame(at ? CONTINUATION : TEXT, Buffer.from([byte]), { isLast: at === bytes.length - 1 }))));
    const [, echo] = await raw.frames(2);
    assert.equal(echo.payload.toString(), `Echo: ${text}`);
    raw.reset();
  });
});

test('a ping inside a message is answered at once, and pongs that nobody asked for are ignored', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await Raw.upgraded(server.port);
    raw.write(Buffer.concat([frame(PONG, 'unasked'), frame(TEXT, 'be', FIRST), frame(PING, 'inside'), frame(PONG)]));
    const [, pong] = await raw.frames(2);
    assert.deepEqual([pong.opcode, pong.payload.toString()], [PONG, 'inside']);
    raw.write(frame(CONTINUATION, 'hind'));
    const [, , echo] = await raw.frames(3);
    assert.equal(echo.payload.toString(), 'Echo: behind');
    raw.reset();
  });
});
