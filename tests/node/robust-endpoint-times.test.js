// The robust endpoint's ping after half a minute and its end after one, waited for. In a file of its
// own, so that the others run meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';

/** @type {Server} */
let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

test('a connection is pinged after 30 s and ends after 60 s', async () => {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const socket = await Socket.connect(server.ws('/robust-chat/times'));
  // How late they may be is for the patience of `next`; a busy machine is not the server's fault.
  assert.equal((await socket.next(90_000)).kind, 'ping');
  assert.ok(elapsed() > 29, `pinged after ${elapsed()} s`);
  // Whether a second ping slips in at 60 s is a matter of chance.
  let event = await socket.next(90_000);
  if (event.kind === 'ping') event = await socket.next(90_000);
  assert.deepEqual(event, { kind: 'close', code: 1000, reason: 'Connection timeout' });
  assert.ok(elapsed() > 59, `ended after ${elapsed()} s`);
});
