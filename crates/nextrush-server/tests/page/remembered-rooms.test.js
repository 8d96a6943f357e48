import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RememberedRooms } from '../../page/remembered-rooms.js';

function rooms(stored = null) {
  let value = stored;
  return new RememberedRooms({ get: () => value, set: (_, next) => void (value = next) });
}

test('the default room is always there and first', () => {
  const remembered = rooms();
  remembered.add('lobby');
  remembered.add('design');
  remembered.add('design');
  assert.deepEqual(remembered.names, ['lobby', 'design']);
  remembered.forget('lobby');
  remembered.forget('design');
  assert.deepEqual(remembered.names, ['lobby']);
});

test('the oldest rooms make place for new ones', () => {
  const remembered = rooms();
  for (let n = 1; n <= 60; n += 1) remembered.add(`room ${n}`);
  assert.equal(remembered.names.length, 51);
  assert.equal(remembered.names[1], 'room 11');
});

test('what is stored and makes no sense is as good as nothing', () => {
  for (const stored of ['{', '7', '{"a":1}', '[1, null, "", "..", "a\\u0000"]']) {
    assert.deepEqual(rooms(stored).names, ['lobby'], stored);
  }
});
