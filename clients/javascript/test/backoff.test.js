import assert from 'node:assert/strict';
import { test } from 'node:test';

import { backoffDelay, backoffOptions } from '../src/backoff.js';

test('the window doubles from half a second up to twenty seconds', () => {
  const options = backoffOptions();
  const windows = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => backoffDelay(n, options, () => 1));
  assert.deepEqual(windows, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
});

test('the wait is drawn from the whole window', () => {
  const options = backoffOptions();
  assert.equal(backoffDelay(2, options, () => 0), 0);
  assert.equal(backoffDelay(2, options, () => 0.25), 500);
});

test('ten thousand failures in a row still give a finite wait', () => {
  assert.equal(backoffDelay(10_000, backoffOptions(), () => 1), 20_000);
});

for (const options of [
  { minMs: 0 },
  { minMs: -1 },
  { minMs: NaN },
  { minMs: 500, maxMs: 400 },
  { maxMs: Infinity },
]) {
  test(`options ${JSON.stringify(options)} are refused`, () => {
    assert.throws(() => backoffOptions(options), { code: 'invalid-option' });
  });
}
