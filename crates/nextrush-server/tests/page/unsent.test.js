import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unsent } from '../../page/unsent.js';
import { grace } from './people.js';

const NOW = new Date(Date.UTC(2026, 0, 31));
const texts = (unsent) => unsent.drafts.map(({ text }) => text);

test('a draft makes room for its message, whichever comes first, the message or the confirmation', () => {
  const unsent = new Unsent();
  const first = unsent.add('one', null, NOW);
  const second = unsent.add('two', null, NOW);
  unsent.appeared({ id: 1, text: 'one' });
  assert.deepEqual(texts(unsent), ['two']);
  unsent.confirmed(first, 1, true);

  unsent.confirmed(second, 2, false);
  assert.deepEqual(unsent.drafts.map(({ fate }) => fate), ['sent']);
  unsent.appeared({ id: 2, text: 'two' });
  assert.deepEqual(texts(unsent), []);
});

test('who says the same twice sees it twice', () => {
  const unsent = new Unsent();
  const drafts = [unsent.add('hi', null, NOW), unsent.add('hi', null, NOW)];
  unsent.appeared({ id: 1, text: 'hi' });
  assert.equal(unsent.drafts.length, 1);
  unsent.confirmed(drafts[0], 1, true);
  assert.equal(unsent.drafts.length, 1);
  unsent.appeared({ id: 2, text: 'hi' });
  unsent.confirmed(drafts[1], 2, true);
  assert.deepEqual(unsent.drafts, []);
});

test('a draft that was taken for sent and failed is there again', () => {
  const unsent = new Unsent();
  const draft = unsent.add('hi', null, NOW);
  unsent.appeared({ id: 1, text: 'hi' });
  unsent.failed(draft, 'Not sent');
  assert.deepEqual(unsent.drafts.map(({ fate, why }) => [fate, why]), [['failed', 'Not sent']]);
  unsent.appeared({ id: 2, text: 'hi' });
  assert.equal(unsent.drafts.length, 1);
  unsent.remove(draft);
  assert.deepEqual(unsent.drafts, []);
});

test('a private draft is not taken for a message to the room', () => {
  const unsent = new Unsent();
  unsent.add('psst', grace, NOW);
  unsent.appeared({ id: 1, text: 'psst' });
  assert.deepEqual(texts(unsent), ['psst']);
});

test('a confirmed draft whose message was missed for good does not stay', () => {
  const unsent = new Unsent();
  unsent.confirmed(unsent.add('lost', null, NOW), 7, false);
  unsent.confirmed(unsent.add('to come', null, NOW), 90, false);
  unsent.add('open', null, NOW);
  unsent.passed(80);
  assert.deepEqual(texts(unsent), ['to come', 'open']);
});
