// What takes a minute by the clock of the program itself: the robust endpoint's ping after half a minute and
// its end after one, the time for a message, silence. In a file of its own, so that the others run meanwhile.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Raw, frame, frames } from '../support/hostile.js';
import { within } from '../support/patience.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

/** The time after which something that takes a minute has failed, in milliseconds. */
const MINUTE_AND_MORE_MS = 90_000;

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const clock = () => {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
};

describe('all at once', { concurrency: true }, () => {
  test('a connection is pinged after 30 s and ends after 60 s', async () => {
    const elapsed = clock();
    const socket = await Socket.connect(server.ws('/robust-chat/times'));
    // How late they may be is for the patience of `next`; a busy machine is not the server's fault.
    assert.equal((await socket.next(MINUTE_AND_MORE_MS)).kind, 'ping');
    assert.ok(elapsed() > 29, `pinged after ${elapsed()} s`);
    // Whether a second ping slips in at 60 s is a matter of chance.
    let event = await socket.next(MINUTE_AND_MORE_MS);
    if (event.kind === 'ping') event = await socket.next(MINUTE_AND_MORE_MS);
    assert.deepEqual(event, { kind: 'close', code: 1000, reason: 'Connection timeout' });
    assert.ok(elapsed() > 59, `ended after ${elapsed()} s`);
  });

  // docs/hostile-cases.md, "Resources".
  test('a message that does not end is closed with 3008 after 60 s', async () => {
    const elapsed = clock();
    const raw = await Raw.upgraded(server.port);
    raw.write(frame(1, 'begun', { isLast: false }));
    const fragments = setInterval(() => raw.write(frame(0, 'x', { isLast: false })), 1_000);
    // Fragments do not prolong it.
    const isClosed = (/** @type {Buffer} */ received) => received.includes('message took too long');
    await within(raw.until(isClosed), 'a Close', MINUTE_AND_MORE_MS).finally(() => clearInterval(fragments));
    assert.ok(elapsed() > 59, `closed after ${elapsed()} s`);
    assert.equal((await raw.closed()).code, 3008);
  });

  test('a client that answers no ping is closed with 3008, and one that does stays', async () => {
    const elapsed = clock();
    const [silent, alive] = await Promise.all([Raw.upgraded(server.port), Socket.connect(server.ws('/chat'))]);
    await alive.text();
    const isClosed = (/** @type {Buffer} */ received) => frames(received).some(({ opcode }) => opcode === 8);
    await within(silent.until(isClosed), 'the end of the silent one', MINUTE_AND_MORE_MS);
    assert.ok(elapsed() > 34, `closed after ${elapsed()} s`);
    assert.equal((await silent.closed()).code, 3008);
    alive.send('here');
    // The pings that came meanwhile were answered by the library.
    let event = await alive.next();
    while (event.kind === 'ping') event = await alive.next();
    assert.deepEqual(event, { kind: 'text', text: 'Echo: here' });
    await alive.close();
  });
});
