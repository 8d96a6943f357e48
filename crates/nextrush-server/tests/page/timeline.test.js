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

test('what was missed for good leaves a mark before what comes', () => {
  const timeline = new Timeline();
  timeline.merge([said(1, 0)]);
  const added = timeline.merge([said(60, 5), said(61, 6)], { gap: '58 messages were missed here' });
  assert.deepEqual(summary(added), ['gap', 60, 61]);
  assert.equal(added[0].text, '58 messages were missed here');
});

test('before the first message nothing can have been missed', () => {
  const timeline = new Timeline();
  assert.deepEqual(summary(timeline.merge([said(7, 0)], { gap: 'Messages may be missing here' })), [7]);
  assert.deepEqual(timeline.merge([said(7, 0)]), []);
  assert.deepEqual(timeline.merge([]), []);
});

test('private messages take their place among the messages by time', () => {
  const timeline = new Timeline();
  const added = timeline.merge([said(1, 0), said(2, 10)], { privates: [whispered(5), whispered(20)] });
  assert.deepEqual(summary(added), [1, 'private', 2, 'private']);
});

test('older messages come before all others, each once', () => {
  const timeline = new Timeline();
  timeline.append(whispered(1));
  timeline.merge([said(5, 5), said(6, 6)]);
  assert.equal(timeline.oldest.id, 5);
  assert.equal(timeline.prepend([said(3, 3), said(4, 4), said(5, 5)]), true);
  assert.equal(timeline.prepend([said(4, 4)]), false);
  assert.deepEqual(summary(timeline.items), [3, 4, 'private', 5, 6]);
  assert.deepEqual(timeline.receive(said(4, 4)), []);
});

test('what others said after a message is found, and what one said oneself is not', () => {
  const timeline = new Timeline();
  timeline.merge([said(1, 0, grace), said(2, 1), said(3, 2, grace)]);
  assert.deepEqual(summary(timeline.since(0, ada)), [1, 3]);
  assert.deepEqual(summary(timeline.since(1, ada)), [3]);
  assert.deepEqual(timeline.since(3, ada), []);
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

test('a message that was deleted disappears', () => {
  const timeline = new Timeline();
  timeline.merge([{ ...said(1, 0), offset: 1 }, { ...said(2, 0), offset: 2 }]);
  assert.equal(timeline.remove(1), true);
  assert.equal(timeline.remove(1), false);
  assert.deepEqual(summary(timeline.items), [2]);
});
