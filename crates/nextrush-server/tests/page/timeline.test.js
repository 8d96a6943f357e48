import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline, continues } from '../../page/timeline.js';
import { ada, grace } from './people.js';

/** A message of minute `minute`. */
function said(id, minute, user = ada) {
  return { id, text: `message ${id}`, user, timestamp: new Date(Date.UTC(2026, 0, 31, 12, minute)).toISOString() };
}

function whispered(minute) {
  return { kind: 'private', from: grace, to: ada, text: 'psst', at: new Date(Date.UTC(2026, 0, 31, 12, minute)) };
}

const summary = (items) => items.map((item) => item.id ?? item.kind);

test('the history that comes again after a lost connection adds only what was missed', () => {
  const timeline = new Timeline();
  assert.deepEqual(summary(timeline.merge([said(1, 0), said(2, 1)])), [1, 2]);
  timeline.receive(said(3, 2));
  assert.deepEqual(summary(timeline.merge([said(2, 1), said(3, 2), said(4, 3)])), [4]);
  assert.deepEqual(summary(timeline.items), [1, 2, 3, 4]);
});

test('a message that comes twice is shown once', () => {
  const timeline = new Timeline();
  timeline.merge([said(5, 0)]);
  assert.deepEqual(timeline.receive(said(5, 0)), []);
  assert.equal(timeline.items.length, 1);
});

test('a history that does not reach back to the last known message leaves a mark', () => {
  const timeline = new Timeline();
  timeline.merge([said(1, 0)]);
  const added = timeline.merge([said(60, 5), said(61, 6)]);
  assert.deepEqual(summary(added), ['notice', 60, 61]);
});

test('the first history leaves no mark, and neither does one without news', () => {
  const timeline = new Timeline();
  assert.deepEqual(summary(timeline.merge([said(7, 0)])), [7]);
  assert.deepEqual(timeline.merge([said(7, 0)]), []);
  assert.deepEqual(timeline.merge([]), []);
});

test('private messages take their place among the messages by time', () => {
  const timeline = new Timeline();
  const added = timeline.merge([said(1, 0), said(2, 10)], [whispered(5), whispered(20)]);
  assert.deepEqual(summary(added), [1, 'private', 2, 'private']);
});

test('a room keeps its latest thousand items', () => {
  const timeline = new Timeline();
  for (let id = 1; id <= 1_005; id += 1) timeline.receive(said(id, 0));
  assert.equal(timeline.items.length, 1_000);
  assert.equal(timeline.items[0].id, 6);
});

test('messages of one author within five minutes stand together', () => {
  const [first, soon, later, other] = new Timeline().merge([said(1, 0), said(2, 4), said(3, 9), said(4, 9, grace)]);
  assert.equal(continues(null, first), false);
  assert.equal(continues(first, soon), true);
  assert.equal(continues(soon, later), false);
  assert.equal(continues(later, other), false);
  assert.equal(continues(first, whispered(1)), false);
});
