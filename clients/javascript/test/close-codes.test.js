import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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
  [1014, 'connection-lost'],
  [1015, 'connection-lost'],
  [3000, 'unauthorized'],
  [3003, 'unauthorized'],
  [3008, 'connection-lost'],
  [4000, 'connection-lost'],
  [undefined, 'connection-lost'],
]) {
  test(`${code} means ${reason}`, () => assert.equal(closeReason(code), reason));
}

test('the codes after which nobody comes back are those of the guide', () => {
  const page = new URL('../../../docs/guide/src/compression-and-close-codes.md', import.meta.url);
  const rows = readFileSync(page, 'utf8').matchAll(/^\| (\d{4}) \|.*\| (now|later|never)\b[^|]*\|$/gm);
  const retry = new Map(Array.from(rows, ([, code, when]) => [Number(code), when]));
  assert.equal(retry.get(1000), 'now');
  for (let code = 1000; code < 5000; code += 1) {
    const final = retry.get(code) === 'never';
    assert.equal(closeReason(code) === 'unauthorized', final, `${code}`);
  }
});
