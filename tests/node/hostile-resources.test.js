// docs/hostile-cases.md, "Resources": clients that cost more than they say.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LINUX_ONLY, MIB, Raw, Target, frame, frames, handshake, lengthOf } from '../support/hostile.js';
import { eventually, within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const PART = { isLast: false };
const LONG = frame(TEXT, 'x'.repeat(60_000));

/** @type {Server} */
let server;
/** @type {Target} */
let target;
before(async () => {
  server = await Server.start();
  target = new Target(server.port, server.program);
});
after(() => server.stop());

/** A client that reads nothing. */
async function silent() {
  const raw = await Raw.upgraded(server.port);
  raw.socket.pause();
  return raw;
}

/**
 * Sends the same again and again, eight at once, as fast as it is answered.
 *
 * @param {Raw} raw
 * @param {Buffer} message
 * @param {number} rounds
 */
async function talk(raw, message, rounds) {
  // The welcome comes first.
  await raw.frames(1);
  const isClose = ({ opcode }) => opcode === CLOSE;
  for (let round = 0; round < rounds && !raw.isOver && !frames(raw.received).some(isClose); round += 1) {
    raw.received = Buffer.alloc(0);
    for (let count = 0; count < 8; count += 1) raw.write(message);
    await within(raw.until((received) => frames(received).length >= 8 || frames(received).some(isClose)), '8 echoes');
  }
}

test('fragments of one byte or none are joined, bounded and answered', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const [ones, nones, over] = await Promise.all([1, 2, 3].map(() => Raw.upgraded(server.port)));
    const many = (/** @type {Buffer} */ part) => Buffer.concat(Array.from({ length: 1_000 }, () => part));
    const one = many(frame(CONTINUATION, 'x', PART));
    for (const raw of [ones, nones, over]) raw.write(frame(TEXT, '', PART));
    await Promise.all([ones.flood(one, 65), nones.flood(many(frame(CONTINUATION, '', PART)), 300), over.flood(one, 150)]);
    ones.write(frame(CONTINUATION, 'end'));
    nones.write(frame(CONTINUATION, 'end'));
    assert.equal((await ones.frames(2))[1].payload.length, 'Echo: '.length + 65_003);
    assert.equal((await nones.frames(2))[1].payload.toString(), 'Echo: end');
    assert.equal((await over.closed()).code, 1009);
    ones.reset();
    nones.reset();
  });
});

test('a client that asks and never reads is held back and closed, and costs a bounded amount', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => silent()));
    await Promise.all(clients.map((raw) => raw.flood(LONG, 500)));
    for (const raw of clients) {
      raw.socket.resume();
      await raw.over();
    }
    // 114 MiB were to be echoed. The kernel's buffers are not the server's.
  }, { growth: 24 * MIB });
});

test('pings without end are answered or end their connection, whether pongs are read or not', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(PING, 'x'.repeat(125))));
    const [deaf, attentive] = [await silent(), await Raw.upgraded(server.port)];
    await Promise.all([deaf.flood(pings, 1_000), attentive.flood(pings, 1_000)]);
    deaf.socket.resume();
    const { code, frames } = await attentive.closed();
    const pongs = frames.filter(({ opcode }) => opcode === PONG).length;
    assert.equal(code, 1008);
    assert.ok(pongs >= 100 && pongs < 1_000, `${pongs} pongs`);
    await deaf.over();
  });
});

test('of three clients two are greedy, and the third is served', LINUX_ONLY, async () => {
  // The third is the bystander.
  await target.withstands(async () => {
    await Promise.all([1, 2].map(async () => {
      const raw = await Raw.upgraded(server.port);
      await talk(raw, LONG, 100);
      raw.reset();
    }));
  });
});

const ENDS = {
  'a reset in the handshake': async (/** @type {Raw} */ raw) => {
    raw.write(handshake().slice(0, 80));
    raw.reset();
  },
  'a reset right behind the handshake': async (raw) => {
    raw.write(handshake());
    raw.reset();
  },
  'a reset in the header of a frame': async (raw) => {
    raw.write(handshake());
    await raw.head();
    raw.write(frame(TEXT, 'x'.repeat(200)).subarray(0, 3));
    raw.reset();
  },
  'a reset in a payload': async (raw) => {
    raw.write(handshake());
    await raw.head();
    raw.write(frame(TEXT, 'x', { length: lengthOf(60_000) }));
    raw.reset();
  },
  'an end of the stream without a Close': async (raw) => {
    raw.write(handshake());
    await raw.head();
    raw.socket.end();
    await raw.over();
  },
  'a Close and then an end': async (raw) => {
    raw.write(Buffer.concat([Buffer.from(handshake()), frame(CLOSE)]));
    raw.socket.end();
    await raw.over();
  },
};

test('1,500 sessions that end in any way leave neither memory nor a descriptor', LINUX_ONLY, async () => {
  const all = async () => {
    const ends = Object.values(ENDS);
    for (let round = 0; round < 1_500; round += 60) {
      await Promise.all(Array.from({ length: 60 }, async (_, at) => ends[at % ends.length](await Raw.connect(server.port))));
    }
  };
  await target.withstands(all);
  // What allocators keep they have by now.
  await target.withstands(all, { growth: 4 * MIB });
});

test('300 half messages are held, and others served', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const held = await Promise.all(Array.from({ length: 300 }, () => Raw.upgraded(server.port)));
    for (const raw of held) raw.write(frame(BINARY, Buffer.alloc(30_000), { length: lengthOf(60_000) }));
    const late = await Raw.upgraded(server.port);
    late.write(frame(TEXT, 'late'));
    await late.frames(2);
    for (const raw of [...held, late]) raw.reset();
    // 9 MB are held.
  }, { growth: 32 * MIB });
});

test('who does not answer a Close is cut in the time for closing', LINUX_ONLY, async () => {
  await target.withstands(async () => {
    const raw = await Raw.upgraded(server.port);
    const begun = performance.now();
    raw.write(frame(3));
    await raw.frames(2);
    // Neither a Close nor an end of the stream.
    await within(raw.until(() => false), 'the end');
    const closed = new Promise((resolve) => raw.socket.once('close', resolve));
    // It goes on writing until it is told that nobody reads.
    const writing = setInterval(() => raw.write(frame(TEXT, 'x')), 50);
    await within(closed, 'a reset').finally(() => clearInterval(writing));
    assert.ok(performance.now() - begun < 20_000);
  });
});

test('a slow subscriber of a busy room is dropped with 1013, and the others get everything', LINUX_ONLY, async (t) => {
  const told = ['--log-format', 'json', '--log', 'info,nextrush::connections=debug'];
  const busy = await Server.start({ args: told });
  t.after(() => busy.stop());
  await new Target(busy.port, busy.program).withstands(async () => {
    const [writer, reader] = await Promise.all([1, 2].map(() => Socket.connect(busy.ws('/rooms/busy'))));
    for (const socket of [writer, reader]) await socket.text();
    const slow = await Raw.upgraded(busy.port, {}, '/rooms/busy');
    slow.socket.pause();
    // As many as a socket may send at once.
    for (let at = 0; at < 200; at += 1) {
      writer.send(`${at} ${'x'.repeat(60_000)}`);
      const text = await reader.text();
      assert.equal(text.split(' ')[0], `${at}`);
    }
    slow.socket.resume();
    await slow.over();
    // What was on its way to a client that is cut need not come, so the log says the code.
    const closings = () => busy.program.stderr.split('\n').filter((line) => line.includes('a connection closed'));
    await eventually(() => closings().some((line) => JSON.parse(line).code === 1013), () => `1013 among ${closings()}`);
    await Promise.all([writer.close(), reader.close()]);
    // 11 MiB were published.
  }, { growth: 8 * MIB });
});

// RFC 9113 §4.1.
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING_2, CONTINUATION_2] = [0, 1, 3, 4, 6, 9];
const [END_STREAM, END_HEADERS] = [1, 4];

/** @param {number} kind @param {number} flags @param {number} stream */
function http2(kind, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(kind, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Headers as literals that are not indexed (RFC 7541 §6.2.2). @param {Record<string, string>} headers */
function block(headers) {
  const text = (/** @type {string} */ value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

const ASK = { ':method': 'GET', ':scheme': 'http', ':authority': 'localhost', ':path': '/healthz' };
const GET = block(ASK);
const POST = block({ ...ASK, ':method': 'POST', ':path': '/api/posts' });
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), http2(SETTINGS, 0, 0)]);
const many = (/** @type {Buffer} */ bytes, count = 1_000) => Buffer.concat(Array.from({ length: count }, () => bytes));

/** How each goes on behind the preface. @type {Record<string, Buffer | ((count: number) => Buffer)>} */
const FLOODS = {
  'streams that are reset as soon as opened': (count) => {
    const stream = 2 * count + 1;
    return Buffer.concat([http2(HEADERS, END_HEADERS | END_STREAM, stream, GET), http2(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 8]))]);
  },
  'headers that never end': (count) => (count === 0 ? http2(HEADERS, END_STREAM, 1, GET) : http2(CONTINUATION_2, 0, 1, block({ 'x-more': 'x'.repeat(100) }))),
  'empty parts of headers': (count) => (count === 0 ? http2(HEADERS, END_STREAM, 1, GET) : many(http2(CONTINUATION_2, 0, 1))),
  'settings whose answers are not read': many(http2(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]))),
  'pings whose answers are not read': many(http2(PING_2, 0, 0, Buffer.alloc(8))),
  'empty parts of a body': (count) => (count === 0 ? http2(HEADERS, END_HEADERS, 1, POST) : many(http2(DATA, 0, 1))),
};

test('over HTTP/2 a flood ends its own connection', LINUX_ONLY, async (t) => {
  // Those whose answers are not read are ended after the time for a head, so all are at work together.
  const hasty = await Server.start({ args: ['--head-timeout', '3s'] });
  t.after(() => hasty.stop());
  await new Target(hasty.port, hasty.program).withstands(() =>
    Promise.all(Object.entries(FLOODS).map(async ([name, flood]) => {
      const raw = await Raw.connect(hasty.port);
      raw.write(PREFACE);
      if (name.endsWith('not read')) raw.socket.pause();
      await raw.flood(flood, 200_000);
      raw.socket.resume();
      await within(raw.until(() => false), () => `the end of ${name}`);
      raw.socket.destroy();
    })),
  );
});

test('a server without descriptors keeps those that it has, and goes on when there are some', LINUX_ONLY, async () => {
  const few = await Server.start({ through: ['sh', '-c', 'ulimit -n 64; exec "$0" "$@"'] });
  try {
    const early = await Socket.connect(few.ws('/chat'));
    await early.text();
    const crowd = await Promise.all(Array.from({ length: 100 }, () => Raw.connect(few.port)));
    await eventually(() => few.program.stderr.includes('cannot accept a connection'), 'the log to say so');
    for (let count = 0; count < 3; count += 1) {
      early.send(`${count}`);
      assert.equal(await early.text(), `Echo: ${count}`);
    }
    for (const raw of crowd) raw.reset();
    const late = await Socket.connect(few.ws('/chat'));
    await Promise.all([early.close(), late.close()]);
  } finally {
    await few.stop();
  }
});

test('under load SIGTERM sends everybody away with 1012, refuses new ones and ends in time', LINUX_ONLY, async () => {
  const ending = await Server.start();
  const clients = await Promise.all(Array.from({ length: 50 }, () => Raw.upgraded(ending.port)));
  const codes = clients.map(async (raw, at) => {
    // Every second one talks until it is told to go.
    if (at % 2) await talk(raw, frame(TEXT, 'x'.repeat(1_000)), Infinity);
    await within(raw.until((received) => frames(received).some(({ opcode }) => opcode === CLOSE)), 'a Close');
    return raw.closed();
  });
  const begun = performance.now();
  const { code: exit } = await ending.stop('SIGTERM');
  assert.equal(exit, 0);
  assert.ok(performance.now() - begun < 20_000);
  for (const { code } of await Promise.all(codes)) assert.equal(code, 1012);
  await assert.rejects(Raw.connect(ending.port));
});
