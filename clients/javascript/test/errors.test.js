import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, ClientError, ErrorCode } from '../src/index.js';
import { settled, world } from './kit/world.js';

test('the codes of the server are those of the wire', () => {
  const codes =
    'authentication-required invalid-token token-expired authentication-timeout invalid-format unknown-type invalid-name ' +
    'too-many-channels subscribe-refused publish-refused not-subscribed no-presence no-history too-large ' +
    'rate-limited over-quota id-reused id-not-exact user-offline not-stored unavailable in-doubt disconnected ' +
    'not-found forbidden internal invalid-position too-many-connections origin-refused ' +
    'invalid-handshake bad-request';
  const known = new Set(Object.values(ErrorCode));
  for (const code of codes.split(' ')) assert.ok(known.has(code), code);
  // Each code's name is the code.
  for (const [name, code] of Object.entries(ErrorCode)) {
    const spelled = code.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
    assert.equal(name.toLowerCase(), spelled.toLowerCase());
  }
});

/** How a request ends that the server answers with an error. */
async function refusal(answer) {
  const w = world();
  const client = new Client('ws://server.example/live', w.options);
  client.connect();
  w.socket.open();
  const request = client.request({ type: 'a' }).catch((error) => error);
  w.socket.receive({ type: 'error', id: w.socket.sent[0].id, ...answer });
  await settled();
  return request;
}

for (const [answer, wanted] of [
  [{ code: 'user-offline', message: 'Niemand da' }, 'user-offline'],
  [{ code: 'brand-new', message: 'A code of a later version' }, 'brand-new'],
  [{ message: 'User not found or offline' }, undefined],
]) {
  test(`a request that is refused with the code ${answer.code} tells it, whatever the words are`, async () => {
    const error = await refusal(answer);
    assert.ok(error instanceof ClientError);
    assert.equal(error.code, 'refused');
    assert.equal(error.refusal, wanted);
    assert.equal(error.message, answer.message);
  });
}

test('only refusals have the code of the server', () => {
  assert.equal(new ClientError('transport', 'no', { cause: { code: 'ECONNREFUSED' } }).refusal, undefined);
});
