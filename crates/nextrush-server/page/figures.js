/** The figures of a sample that the inspector shows, as tiles and plots. */

import { Plot } from './plot.js';
import { bytes, count, duration } from './units.js';

/** @typedef {import('./inspect-api.js').Sample} Sample */

/** The tiles, each with the figure that it shows. @type {{ id: string, value: (sample: Sample) => string, isWarning?: (sample: Sample) => boolean }[]} */
export const TILES = [
  { id: 'connections', value: (sample) => count(sample.connections) },
  { id: 'in', value: (sample) => count(sample.messagesIn) },
  { id: 'out', value: (sample) => count(sample.messagesOut) },
  { id: 'published', value: (sample) => count(sample.published) },
  { id: 'p99', value: (sample) => duration(sample.turn.p99Us), isWarning: (sample) => sample.turn.p99Us > 50_000 },
  { id: 'backlog', value: (sample) => bytes(sample.backlogBytes) },
  {
    id: 'slow',
    value: ({ slowReaders: { waiting, lagging } }) => `${count(waiting)} / ${count(lagging)}`,
    isWarning: ({ slowReaders: { lagging } }) => lagging > 0,
  },
  { id: 'closed', value: ({ slowReaders: { closed } }) => count(closed) },
];

/**
 * The plots, in the order in which they stand.
 *
 * @param {(second: number | null) => void} onCursor
 */
export function plots(onCursor) {
  return [
    new Plot({
      title: 'Messages per second',
      testId: 'plot-messages',
      least: 10,
      format: count,
      onCursor,
      lines: [
        { name: 'in', color: 'first', value: (sample) => sample.messagesIn },
        { name: 'out', color: 'second', value: (sample) => sample.messagesOut },
      ],
    }),
    new Plot({
      title: 'Turn of a shard',
      testId: 'plot-turn',
      least: 100,
      format: duration,
      onCursor,
      lines: [
        { name: 'p50', color: 'first', value: (sample) => sample.turn.p50Us },
        { name: 'p99', color: 'second', value: (sample) => sample.turn.p99Us },
      ],
    }),
    new Plot({
      title: 'Connections',
      testId: 'plot-connections',
      least: 10,
      format: count,
      onCursor,
      lines: [{ name: 'open', color: 'first', value: (sample) => sample.connections }],
    }),
    new Plot({
      title: 'Backlog',
      testId: 'plot-backlog',
      least: 1024,
      format: bytes,
      base: 2,
      onCursor,
      lines: [{ name: 'waiting', color: 'third', value: (sample) => sample.backlogBytes }],
    }),
  ];
}
