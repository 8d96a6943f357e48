import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster } from '../../page/roster.js';
import { ada, grace } from './people.js';

test('a person with two sockets is one person with two devices', () => {
  const roster = new Roster();
  roster.reset([ada, grace, ada]);
  assert.deepEqual(roster.people, [{ user: ada, devices: 2 }, { user: grace, devices: 1 }]);
  assert.equal(roster.size, 2);
});

test('a person has come with the first socket and gone with the last', () => {
  const roster = new Roster();
  assert.equal(roster.joined(ada), true);
  assert.equal(roster.joined(ada), false);
  assert.equal(roster.left(ada), false);
  assert.equal(roster.left(ada), true);
  assert.equal(roster.size, 0);
});

test('somebody who was not there cannot leave', () => {
  assert.equal(new Roster().left(ada), false);
});

test('ids of different types are different people', () => {
  const roster = new Roster();
  roster.reset([{ id: 1, email: 'one@example.com' }, { id: '1', email: 'text@example.com' }]);
  assert.equal(roster.size, 2);
  assert.equal(roster.find(1)?.user.email, 'one@example.com');
});

test('people are listed by name, wherever they came', () => {
  const roster = new Roster();
  roster.reset([grace, ada]);
  assert.deepEqual(roster.people.map(({ user }) => user), [ada, grace]);
});
