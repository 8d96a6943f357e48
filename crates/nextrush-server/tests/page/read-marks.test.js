import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadMarks } from '../../page/read-marks.js';

function memory() {
  const map = new Map();
  return { map, get: (key) => map.get(key) ?? null, set: (key, value) => void map.set(key, value) };
}

test('a mark moves forward only, and survives the page', () => {
  const store = memory();
  const marks = new ReadMarks('"ada"', store);
  assert.equal(marks.get('lobby'), null);
  marks.set('lobby', 7);
  marks.set('lobby', 5);
  assert.equal(new ReadMarks('"ada"', store).get('lobby'), 7);
  marks.forget('lobby');
  assert.equal(marks.get('lobby'), null);
});

test('each user has marks of their own', () => {
  const store = memory();
  new ReadMarks('1', store).set('lobby', 7);
  assert.equal(new ReadMarks('"1"', store).get('lobby'), null);
});

test('the rooms that were read longest ago are forgotten', () => {
  const marks = new ReadMarks('"ada"', memory());
  for (let n = 0; n < 60; n += 1) marks.set(`room ${n}`, n);
  marks.set('room 10', 99);
  assert.equal(marks.rooms.length, 50);
  assert.equal(marks.get('room 9'), null);
  assert.equal(marks.rooms.at(-1), 'room 10');
});

test('what is stored and makes no sense is as good as nothing', () => {
  for (const stored of ['{', '7', '{}', '[1]', '[[1,2],["a","b"]]', '[null]']) {
    const marks = new ReadMarks('1', { get: () => stored, set: () => {} });
    assert.equal(marks.get('a'), null, stored);
    assert.deepEqual(marks.rooms, [], stored);
  }
});
