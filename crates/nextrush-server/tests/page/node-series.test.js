import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeSeries } from '../../page/node-series.js';

const SECOND = 1_000;

/** A sample of a node in a second, with `n` of everything. */
const sample = (node, second, n) => ({
  at: new Date(second * 1000 + 123).toISOString(),
  node,
  connections: n,
  rooms: n,
  channels: n,
  messagesIn: n,
  messagesOut: n,
  bytesIn: n,
  bytesOut: n,
  published: n,
  slowReaders: { waiting: n, closed: n, lagging: n },
  backlogBytes: n,
  turn: { p50Us: n, p99Us: n, maxUs: n },
});

test('the figures of nodes are added up, but for the turns, of which the longest counts', () => {
  const series = new NodeSeries();
  series.add([sample('b', SECOND, 5), sample('a', SECOND, 3)]);
  assert.deepEqual(series.nodes, ['a', 'b']);
  const { newest } = series.of(null);
  assert.deepEqual([newest.connections, newest.slowReaders.waiting, newest.turn.p99Us], [8, 8, 5]);
  assert.equal(series.of('a').newest.connections, 3);
  assert.equal(series.of('c').newest, null);
});

test('a node whose sample is late counts with the one before, and then with its own', () => {
  const series = new NodeSeries();
  series.add([sample('a', SECOND, 3), sample('b', SECOND, 5)]);
  series.add([sample('a', SECOND + 1, 4)]);
  assert.equal(series.of(null).newest.connections, 9);
  series.add([sample('b', SECOND + 1, 6)]);
  assert.equal(series.of(null).newest.connections, 10);
  assert.equal(series.of(null).last, SECOND + 1);
  // A node that is gone is not counted for ever.
  series.add([sample('a', SECOND + 4, 4)]);
  assert.equal(series.of(null).newest.connections, 4);
});

test('a node that sends nothing any more is not offered, and forgotten after five minutes', () => {
  const series = new NodeSeries();
  series.add([sample('a', SECOND, 1), sample('b', SECOND, 1)]);
  series.add([sample('a', SECOND + 16, 1)]);
  assert.deepEqual(series.nodes, ['a']);
  assert.equal(series.of('b').newest.connections, 1);
  series.add([sample('a', SECOND + 400, 1)]);
  assert.equal(series.of('b').newest, null);
});

test('a server that names no node is the only one', () => {
  const series = new NodeSeries();
  series.add([sample(undefined, SECOND, 7)]);
  assert.deepEqual(series.nodes, ['']);
  assert.equal(series.of(null).newest.connections, 7);
});
