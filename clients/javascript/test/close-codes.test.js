import assert from 'node:assert/strict';
import { test } from 'node:test';

import { verdict } from '../src/close-codes.js';

const CASES = [
  [1000, true, 'server-closed'],
  [1001, true, 'going-away'],
  [1002, true, 'message-refused'],
  [1003, true, 'message-refused'],
  [1005, true, 'connection-lost'],
  [1006, true, 'connection-lost'],
  [1007, true, 'message-refused'],
  [1008, false, 'unauthorized'],
  [1009, true, 'message-refused'],
  [1010, true, 'connection-lost'],
  [1011, true, 'server-error'],
  [1012, true, 'server-restart'],
  [1013, true, 'try-later'],
  [1015, true, 'connection-lost'],
  [3000, true, 'connection-lost'],
  [4999, true, 'connection-lost'],
];

for (const [code, reconnect, reason] of CASES) {
  test(`${code} from the server ${reconnect ? 'is followed by a reconnect' : 'is final'}: ${reason}`, () => {
    assert.deepEqual(verdict(code), { reconnect, reason });
  });
}
