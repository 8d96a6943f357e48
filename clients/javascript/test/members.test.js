import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Members } from '../src/members.js';

const ada = { id: 1, email: 'ada@example.org' };
const bob = { id: 'b', email: 'bob@example.org' };

test('a user with several connections is listed once, until the last one is gone', () => {
  const members = new Members();
  assert.equal(members.add(ada), true);
  assert.equal(members.add(ada), false);
  assert.deepEqual(members.list(), [ada]);
  assert.equal(members.remove(ada), false);
  assert.deepEqual(members.list(), [ada]);
  assert.equal(members.remove(ada), true);
  assert.deepEqual(members.list(), []);
});

test('replacing counts the connections anew', () => {
  const members = new Members();
  members.add(ada);
  members.replace([bob, ada, bob]);
  assert.deepEqual(members.list(), [bob, ada]);
  assert.equal(members.remove(bob), false);
  assert.equal(members.remove(bob), true);
  assert.deepEqual(members.list(), [ada]);
});

test('who is not confirmed after something was missed is gone', () => {
  const members = new Members();
  members.replace([ada, ada, bob]);
  members.doubt();
  const eve = { id: 3, email: 'eve@example.org' };
  members.add(eve);
  members.set(ada, 1);
  // Bob has left unseen and comes back behind the page that would have told.
  members.add(bob);
  members.settle();
  members.add(bob);
  assert.deepEqual(members.list(), [ada, eve, bob]);
  assert.equal(members.remove(ada), true);
  assert.equal(members.remove(bob), true);
});

test('removing a stranger changes nothing', () => {
  const members = new Members();
  members.add(ada);
  assert.equal(members.remove(bob), false);
  assert.deepEqual(members.list(), [ada]);
});

test('the number 1 and the text "1" are two users', () => {
  const members = new Members();
  members.add({ id: 1, email: 'number' });
  members.add({ id: '1', email: 'text' });
  assert.equal(members.list().length, 2);
});
