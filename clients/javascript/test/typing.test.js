import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TypingUsers } from '../src/typing.js';
import { VirtualClock } from '../testing/virtual-clock.js';

const ada = { id: 1, email: 'ada@example.org' };
const bob = { id: 2, email: 'bob@example.org' };

function setUp() {
  const clock = new VirtualClock();
  const changes = [];
  const typing = new TypingUsers({
    timers: clock.timers,
    expiryMs: 6_000,
    changed: () => changes.push(typing.list().map(({ id }) => id)),
  });
  return { clock, typing, changes };
}

test('each start and stop is a change, repeating one is not', () => {
  const { typing, changes } = setUp();
  typing.start(ada);
  typing.start(bob);
  typing.start(ada);
  typing.stop(ada);
  typing.stop(ada);
  assert.deepEqual(changes, [[1], [1, 2], [2]]);
});

test('a user who falls silent is taken off six seconds after last typing', () => {
  const { clock, typing, changes } = setUp();
  typing.start(ada);
  clock.advance(5_000);
  typing.start(ada);
  clock.advance(5_999);
  assert.deepEqual(changes, [[1]]);
  clock.advance(1);
  assert.deepEqual(changes, [[1], []]);
});

test('clearing stops the timers and is one change, or none', () => {
  const { clock, typing, changes } = setUp();
  typing.start(ada);
  typing.start(bob);
  typing.clear();
  typing.clear();
  assert.equal(clock.pending, 0);
  assert.deepEqual(changes, [[1], [1, 2], []]);
});

test('the timers are those of the platform, where no others are given', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const typing = new TypingUsers({ changed: () => {} });
  typing.start({ id: 1, email: 'ada@example.org' });
  t.mock.timers.tick(5_999);
  assert.equal(typing.list().length, 1);
  t.mock.timers.tick(1);
  assert.equal(typing.list().length, 0);
});
