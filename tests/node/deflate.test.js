// Compression with a client that has its own implementation of RFC 7692, on Node's zlib.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { within } from '../support/patience.js';
import { Program, built } from '../support/program.js';

const LONG = JSON.stringify({ type: 'update', text: 'ünï©ødé 世界 👋' }).repeat(200);

/** @typedef {{ program: Program, port: string }} Echo */

/** @type {Echo} */
let compressing;
/** @type {Echo} */
let plain;
before(async () => {
  compressing = await start();
  plain = await start('--no-deflate');
});
after(() => Promise.all([compressing.program.stop(), plain.program.stop()]));

/** @param {string[]} args */
async function start(...args) {
  const program = new Program(built('examples', 'echo'), ['--port', '0', ...args]);
  const [, port] = await program.line(/^listening on port (\d+)$/);
  return { program, port };
}

/**
 * @param {Echo} echo
 * @param {WebSocket.PerMessageDeflateOptions | boolean} perMessageDeflate
 */
async function connect({ port }, perMessageDeflate) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`, { perMessageDeflate });
  const upgraded = once(socket, 'upgrade');
  await within(once(socket, 'open'), 'a connection');
  const [response] = await upgraded;
  return { socket, answer: response.headers['sec-websocket-extensions'] };
}

/**
 * @param {WebSocket} socket
 * @param {string | Buffer} message
 */
async function echo(socket, message) {
  const answer = once(socket, 'message');
  socket.send(message);
  const [data, isBinary] = await within(answer, 'an echo');
  assert.equal(isBinary, typeof message !== 'string');
  assert.deepEqual(data, Buffer.from(message));
}

for (const [name, options, agreed] of /** @type {const} */ ([
  [
    'with what ws offers by itself',
    { threshold: 0 },
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
  ],
  [
    'with small windows',
    { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover; ' +
      'server_max_window_bits=9; client_max_window_bits=10',
  ],
  [
    'with the smallest window for the server',
    { serverMaxWindowBits: 8 },
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover; ' +
      'server_max_window_bits=8',
  ],
])) {
  test(`messages come back as they were ${name}`, async () => {
    const { socket, answer } = await connect(compressing, options);
    assert.equal(answer, agreed);
    for (const message of [
      'short',
      '',
      LONG,
      LONG,
      Buffer.alloc(0),
      Buffer.alloc(1024 * 1024, 'x'),
      Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) >> 3)),
    ]) {
      await echo(socket, message);
    }
    const closed = once(socket, 'close');
    socket.close(1000);
    assert.equal((await within(closed, 'the end'))[0], 1000);
  });
}

test('what is repeated takes less on the wire, in both directions', async () => {
  const { socket } = await connect(compressing, true);
  const tcp = /** @type {any} */ (socket)._socket;
  const before = tcp.bytesRead + tcp.bytesWritten;
  await echo(socket, LONG);
  assert.ok(tcp.bytesRead + tcp.bytesWritten - before < LONG.length / 10);
  socket.terminate();
});

test('nothing is agreed on where the server or the client does not want it', async () => {
  for (const [server, wanted] of /** @type {const} */ ([
    [plain, true],
    [compressing, false],
  ])) {
    const { socket, answer } = await connect(server, wanted);
    assert.equal(answer, undefined);
    await echo(socket, LONG);
    socket.terminate();
  }
});
