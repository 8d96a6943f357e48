import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Series, WINDOW_S, extent, marks } from '../../page/series.js';
import { age, bytes, count, duration } from '../../page/units.js';

const at = (second, connections = second) => ({ at: new Date(second * 1000 + 123).toISOString(), connections });
const connections = (sample) => sample.connections;

test('samples take their places by the second, in whatever order they come', () => {
  const series = new Series();
  assert.equal(series.newest, null);
  series.add([at(1_003), at(1_001)]);
  series.add([at(1_002), at(1_003, 7)]);
  assert.deepEqual(series.values(connections).slice(-4), [null, 1_001, 1_002, 7]);
  assert.equal(series.values(connections).length, WINDOW_S);
  assert.equal(series.newest.connections, 7);
});

test('what is older than the window is forgotten, and what is no time is none', () => {
  const series = new Series();
  series.add([at(1_000), at(1_001), { at: 'yesterday', connections: 1 }]);
  series.add([at(1_001 + WINDOW_S)]);
  assert.deepEqual(series.values(connections).filter((value) => value !== null), [1_001 + WINDOW_S]);
  series.add([at(1_100)]);
  assert.equal(series.last, 1_001 + WINDOW_S);
});

test('marks are round, begin at 0 and reach over the highest value', () => {
  assert.deepEqual(marks(10), [0, 5, 10]);
  assert.deepEqual(marks(17), [0, 5, 10, 15, 20]);
  assert.deepEqual(marks(60_100), [0, 20_000, 40_000, 60_000, 80_000]);
  assert.deepEqual(marks(1_024, 2), [0, 256, 512, 768, 1_024]);
  assert.deepEqual(marks(3_000_000, 2), [0, 1, 2, 3].map((n) => n * 1_048_576));
  for (let highest = 1; highest < 1e9; highest *= 1.7) {
    for (const base of [2, 10]) {
      const scale = marks(highest, base);
      assert.ok(scale.at(-1) >= highest && scale.length >= 3 && scale.length <= 5, `${highest}: ${scale}`);
    }
  }
});

test('the ends of a line are those of what is known', () => {
  assert.deepEqual(extent([null, 3, null, 9]), { least: 3, most: 9 });
  assert.equal(extent([null]), null);
});

test('figures are short, and of one kind', () => {
  assert.deepEqual([0, 999, 12_345, 99_999, 123_456, 7_890_123].map(count), ['0', '999', '12,345', '99,999', '123.5K', '7.9M']);
  assert.deepEqual([0, 1_023, 1_024, 1_536, 150_000, 3 * 1024 ** 3].map(bytes), ['0 B', '1023 B', '1 KiB', '1.5 KiB', '146 KiB', '3 GiB']);
  assert.deepEqual([0, 840, 1_000, 1_234, 36_900, 250_000, 1_500_000].map(duration), ['0 µs', '840 µs', '1 ms', '1.23 ms', '36.9 ms', '250 ms', '1.5 s']);
  assert.deepEqual([-5, 59_000, 61_000, 3_700_000, 90_000_000].map(age), ['0 s', '59 s', '1 min 1 s', '1 h 1 min', '1 d 1 h']);
});
