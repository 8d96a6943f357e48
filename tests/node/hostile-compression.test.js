// docs/hostile-cases.md, "Compression": RFC 7692 as nobody should use it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { LINUX_ONLY, MIB, Raw, Target, frame } from '../support/hostile.js';
import { Program, built } from '../support/program.js';

const LIMIT = 64 * 1024;
const TEXT = 1;
const COMPRESSED = { rsv: 4 };
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** @type {Program} */
let program;
/** @type {Target} */
let target;
before(async () => {
  program = new Program(built('examples', 'echo'), ['--port', '0', '--max-message', String(LIMIT)]);
  const [, port] = await program.line(/^listening on port (\d+)$/);
  target = new Target(Number(port), program, '/echo');
});
after(() => program.stop());

/** @param {string} [offer] */
const agreed = (offer) =>
  Raw.upgraded(target.port, offer === undefined ? OFFER : { 'Sec-WebSocket-Extensions': offer }, '/echo');

/** @param {string | Buffer} data */
function compressed(data, options = {}) {
  const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options });
  return bytes.subarray(0, bytes.length - TAIL.length);
}

/** The message that comes next, inflated. @param {Raw} raw @param {number} count */
async function message(raw, count, options = {}) {
  const { rsv, payload } = (await raw.frames(count))[count - 1];
  return rsv === 4 ? inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH, ...options }) : payload;
}

/** @type {[string, Buffer | Buffer[], number[]][]} */
const VIOLATIONS = [
  ['RSV1 on a continuation', [frame(TEXT, compressed('a'), { ...COMPRESSED, isLast: false }), frame(0, compressed('b'), COMPRESSED)], [1002]],
  ['RSV1 on a ping', frame(9, '', COMPRESSED), [1002]],
  ['RSV2', frame(TEXT, compressed('a'), { rsv: 6 }), [1002]],
  ['RSV3', frame(TEXT, compressed('a'), { rsv: 5 }), [1002]],
  ['what is no DEFLATE', frame(TEXT, Buffer.from('ffffffffff', 'hex'), COMPRESSED), [1002, 1007]],
  // One literal, then a copy of what lies before the message's start.
  ['a reference to before the window', frame(TEXT, Buffer.from('4b0481010000ffff', 'hex'), COMPRESSED), [1002, 1007]],
  ['bad UTF-8 within it', frame(TEXT, compressed(Buffer.from('61ff62', 'hex')), COMPRESSED), [1007]],
  ['one byte over the limit', frame(TEXT, compressed(Buffer.alloc(LIMIT + 1, 'x')), COMPRESSED), [1009]],
  ['a bomb of 200 times the limit', frame(TEXT, compressed(Buffer.alloc(200 * LIMIT)), COMPRESSED), [1009]],
  ['the same in fragments of 100 bytes', fragments(compressed(Buffer.alloc(200 * LIMIT)), 100), [1009]],
  ['the start of a bomb of 1 GiB', fragments(compressed(Buffer.alloc(60 * MIB)), 60_000), [1009]],
];

/** @param {Buffer} bytes @param {number} size */
function fragments(bytes, size) {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, at) =>
    frame(at ? 0 : TEXT, bytes.subarray(at * size, (at + 1) * size), { rsv: at ? 0 : 4, isLast: at === count - 1 }),
  );
}

describe('a violation is answered with its code, and costs no memory:', LINUX_ONLY, () => {
  for (const [name, bytes, codes] of VIOLATIONS) {
    test(name, async () => {
      await target.withstands(async () => {
        const raw = await agreed();
        raw.write(Buffer.concat([bytes].flat()));
        const { code, frames } = await raw.closed();
        assert.ok(codes.includes(code), `${code}`);
        assert.deepEqual(frames, []);
      }, { growth: 6 * MIB });
    });
  }

  test('a hundred bombs at once, and one after the other', async () => {
    await target.withstands(async () => {
      const bomb = frame(TEXT, compressed(Buffer.alloc(200 * LIMIT)), COMPRESSED);
      const explode = async () => {
        const raw = await agreed();
        raw.write(bomb);
        assert.equal((await raw.closed()).code, 1009);
      };
      for (let count = 0; count < 20; count += 1) await explode();
      await Promise.all(Array.from({ length: 100 }, explode));
    }, { growth: 12 * MIB });
  });
});

const INVALID_OFFERS = [
  'permessage-deflate; server_max_window_bits',
  'permessage-deflate; server_max_window_bits=7',
  'permessage-deflate; server_max_window_bits=16',
  'permessage-deflate; server_max_window_bits=010',
  'permessage-deflate; server_max_window_bits=ten',
  'permessage-deflate; client_max_window_bits=7',
  'permessage-deflate; client_max_window_bits=""',
  'permessage-deflate; server_no_context_takeover=1',
  'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
  'permessage-deflate; unknown',
];

test('an offer that is not valid is declined, and a good one behind it may be taken', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (const offer of INVALID_OFFERS) {
      const alone = await agreed(offer);
      assert.equal(/** @type {any} */ (alone).headers['sec-websocket-extensions'], undefined, offer);
      const followed = await agreed(`${offer}, permessage-deflate`);
      const chosen = /** @type {any} */ (followed).headers['sec-websocket-extensions'];
      assert.match(chosen, /^permessage-deflate/, offer);
      // It was not offered.
      assert.ok(!chosen.includes('client_max_window_bits'), chosen);
      followed.write(frame(TEXT, compressed('hello'), COMPRESSED));
      assert.equal((await message(followed, 1)).toString(), 'hello');
      alone.reset();
      followed.reset();
    }
  });
});

/** RFC 7692 §7.2.3, beside one's own. @type {[string, string | Buffer, string][]} */
const EXAMPLES = [
  ['one block', 'f248cdc9c90700', 'Hello'],
  ['a stored block', '000500faff48656c6c6f00', 'Hello'],
  ['a block that says it is the last', 'f348cdc9c9070000', 'Hello'],
  ['two blocks', 'f24805000000ffffcac9c90700', 'Hello'],
  ['nothing', '00', ''],
];

test('the examples of RFC 7692 are understood, and a message of exactly the limit', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await agreed();
    let count = 0;
    for (const [name, hex, text] of EXAMPLES) {
      raw.write(frame(TEXT, Buffer.from(/** @type {string} */ (hex), 'hex'), COMPRESSED));
      assert.equal((await message(raw, (count += 1))).toString(), text, name);
    }
    const most = 'x'.repeat(LIMIT);
    raw.write(frame(TEXT, compressed(most), COMPRESSED));
    assert.equal((await message(raw, count + 1)).toString(), most);
    raw.reset();
  });
});

test('a window that a client asks for is kept to, or the offer declined', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    for (const bits of [8, 9, 10, 11, 12]) {
      const raw = await agreed(`permessage-deflate; server_max_window_bits=${bits}; server_no_context_takeover`);
      const chosen = /** @type {any} */ (raw).headers['sec-websocket-extensions'] ?? '';
      // What repeats lies farther back than the window.
      const part = Array.from({ length: 2 ** bits }, (_, at) => String.fromCharCode(33 + ((at * at * 31 + at * 7) % 90))).join('');
      const text = `${part}${'-'.repeat(2 ** bits)}${part}${'-'.repeat(2_000)}`;
      for (const round of [1, 2]) {
        raw.write(frame(TEXT, text));
        const windowBits = chosen === '' ? 15 : bits;
        assert.equal((await message(raw, round, { windowBits })).toString(), text, `${bits}`);
      }
      if (chosen !== '') assert.match(chosen, new RegExp(`server_max_window_bits=${bits}`));
      raw.reset();
    }
  });
});

test('3,000 idle connections with compression hold nothing for it', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const held = [];
    while (held.length < 3_000) held.push(...(await Promise.all(Array.from({ length: 100 }, () => agreed()))));
    for (const raw of held) raw.write(frame(TEXT, compressed('hello, hello, hello'), COMPRESSED));
    for (const raw of held) await raw.frames(1);
    for (const raw of held) raw.reset();
    // A window of its own would be 40 KiB for each, 117 MiB in all.
  }, { growth: 48 * MIB });
});
