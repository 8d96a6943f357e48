// Requests both ways between the project's own client and a program (`examples/requests.rs`).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Client } from '../../clients/javascript/src/index.js';
import { Inbox, within } from '../support/patience.js';
import { Program, built } from '../support/program.js';

/** @type {Program} */
let program;
let address = '';
before(async () => {
  program = new Program(built('examples', 'requests'), ['0']);
  const [, port] = await program.line(/^listening on port (\d+)$/);
  address = `ws://127.0.0.1:${port}/`;
});
after(() => program.stop());

test('the client is answered with the data of a reply, or the code of a refusal', async () => {
  const client = new Client(address, { WebSocket });
  client.connect();
  assert.equal(await within(client.request({ type: 'add', a: 1, b: 2 }), 'a sum'), 3);
  const refusal = async (/** @type {object} */ command) => {
    const refused = client.request(command).then(
      () => undefined,
      ({ code, refusal }) => [code, refusal],
    );
    return within(refused, 'a refusal');
  };
  assert.deepEqual(await refusal({ type: 'add', a: 2 ** 31 - 1, b: 1 }), ['refused', 'overflow']);
  assert.deepEqual(await refusal({ type: 'add' }), ['refused', 'invalid-format']);
  assert.deepEqual(await refusal({ type: 'dance' }), ['refused', 'unknown-type']);
  client.close();
});

test('the client answers what the server asks', async () => {
  const client = new Client(address, { WebSocket });
  // The greeting is no JSON object, which the client tells as a fault.
  /** @type {Inbox<string>} */
  const texts = new Inbox();
  client.handle('name', async () => 'Ada');
  const listen = (/** @type {{ data: unknown }} */ { data }) => texts.put(String(data));
  client.connect();
  const socket = /** @type {any} */ (client.socket);
  socket.addEventListener('message', listen);
  assert.equal(await texts.find((text) => text.startsWith('Hello'), 'a greeting'), 'Hello, Ada');
  client.close();
});
