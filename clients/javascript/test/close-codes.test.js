import assert from 'node:assert/strict';
import { test } from 'node:test';

import { closeReason } from '../src/close-codes.js';

for (const [code, reason] of [
  [1000, 'server-closed'],
  [1001, 'going-away'],
  [1002, 'message-refused'],
  [1003, 'message-refused'],
  [1007, 'message-refused'],
  [1008, 'unauthorized'],
  [1009, 'message-refused'],
  [1011, 'server-error'],
  [1012, 'server-restart'],
  [1013, 'try-later'],
  [1005, 'connection-lost'],
  [1006, 'connection-lost'],
  [1015, 'connection-lost'],
  [4000, 'connection-lost'],
  [undefined, 'connection-lost'],
]) {
  test(`${code} means ${reason}`, () => assert.equal(closeReason(code), reason));
}
