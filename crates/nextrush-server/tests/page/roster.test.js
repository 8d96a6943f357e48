import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Roster, countWords } from '../../page/roster.js';
import { ada, grace } from './people.js';

test('a person with two sockets is one person with two devices', () => {
  const roster = new Roster();
  roster.reset([ada, grace, ada]);
  const summary = roster.withDevices().map(({ user, devices }) => [user, devices]);
  assert.deepEqual(summary, [[ada, 2], [grace, 1]]);
  assert.equal(roster.size, 2);
});

test('devices are named by presence, which keeps lost ones for a while', () => {
  const device = (id, data) => ({ id, since: '2026-01-31T12:00:00.000Z', ...(data && { data }) });
  const roster = new Roster();
  roster.reset([ada, grace]);
  const [first, second] = roster.withDevices([
    { user: ada, devices: [device('lost', { name: 'Old' }), device('here', { name: 'Firefox on Linux' })] },
    { user: { id: 9, email: 'gone@example.com' }, devices: [device('x')] },
  ]);
  assert.deepEqual(first, {
    user: ada,
    devices: 1,
    known: [{ id: 'here', name: 'Firefox on Linux', since: new Date('2026-01-31T12:00:00.000Z') }],
  });
  assert.deepEqual(second, { user: grace, devices: 1, known: [] });
});

test('two tabs that share a device are one device', () => {
  const roster = new Roster();
  roster.reset([ada, ada]);
  const devices = [{ id: 'd', since: '2026-01-31T12:00:00.000Z', data: { name: 7 } }];
  const [person] = roster.withDevices([{ user: ada, devices }]);
  assert.equal(person.devices, 1);
  assert.equal(person.known[0].name, 'A device');
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
  assert.deepEqual(roster.withDevices().map(({ user }) => user), [ada, grace]);
});

test('members are counted while there is a connection, and nobody is called present without one', () => {
  assert.equal(countWords(0, true), '');
  assert.equal(countWords(1, true), '1 member');
  assert.equal(countWords(7, true), '7 members');
  assert.equal(countWords(7, false), 'Members unknown');
  assert.equal(countWords(0, false), '');
});
