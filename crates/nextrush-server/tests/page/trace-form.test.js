import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summary } from '../../page/trace-form.js';

test('the answer in one line says what is missing in it', () => {
  const trace = { published: 'kept', publishedAt: '2026-01-31T09:05:07.123Z', sockets: [], counts: { 'left-out': 1, sent: 1200 } };
  assert.equal(summary(trace), `Published at 2026-01-31T09:05:07.123Z · left-out: 1 · sent: ${(1200).toLocaleString()}`);
  const partial = { published: 'other-epoch', sockets: [], counts: {}, unanswered: ['b', 'c'], othersUnknown: true };
  assert.equal(summary(partial), 'Of another epoch than the present one · without b, c · the other nodes are not known');
});
