import { Series, WINDOW_S } from './series.js';

/** @typedef {import('./inspect-api.js').Sample} Sample */

/** The samples of nodes come at different moments: the last one of each counts for so many seconds more. */
const LATE_S = 2;

/** A node without a sample for so many seconds is not offered any more. */
const GONE_S = 15;

/** The samples of each node of the application, and of all together. */
export class NodeSeries {
  /** By the name of the node. @type {Map<string, Series>} */
  #each = new Map();
  #all = new Series();

  /** The names of the nodes that send samples, in order. @returns {string[]} */
  get nodes() {
    const isThere = (/** @type {[string, Series]} */ [, { last }]) => last > this.#all.last - GONE_S;
    return [...this.#each].filter(isThere).map(([name]) => name).sort();
  }

  /**
   * The samples of a node, or those of all together.
   *
   * @param {string | null} node
   */
  of(node) {
    return node === null ? this.#all : (this.#each.get(node) ?? new Series());
  }

  /** @param {Sample[]} samples */
  add(samples) {
    /** @type {Set<number>} */
    const seconds = new Set();
    for (const sample of samples) {
      const name = sample.node ?? '';
      const series = this.#each.get(name) ?? new Series();
      this.#each.set(name, series);
      const second = series.put(sample);
      if (second !== null) for (let late = 0; late <= LATE_S; late += 1) seconds.add(second + late);
    }
    const newest = Math.max(...[...this.#each.values()].map(({ last }) => last));
    for (const [name, { last }] of this.#each) if (last <= newest - WINDOW_S) this.#each.delete(name);
    for (const second of seconds) {
      const total = second <= newest && this.#total(second);
      if (total) this.#all.put(total, second);
    }
  }

  clear() {
    this.#each.clear();
    this.#all.clear();
  }

  /** @param {number} second */
  #total(second) {
    /** @type {Sample[]} */
    const samples = [];
    let isOfSecond = false;
    for (const series of this.#each.values()) {
      isOfSecond ||= series.at(second) !== null;
      for (let late = 0; late <= LATE_S; late += 1) {
        const sample = series.at(second - late);
        if (sample === null) continue;
        samples.push(sample);
        break;
      }
    }
    return isOfSecond ? sum(samples) : null;
  }
}

/**
 * The figures of nodes together. Of the turns of their shards the longest counts.
 *
 * @param {Sample[]} samples one or more
 * @returns {Sample}
 */
function sum(samples) {
  return samples.reduce((all, one) => ({
    at: all.at,
    connections: all.connections + one.connections,
    rooms: all.rooms + one.rooms,
    channels: all.channels + one.channels,
    messagesIn: all.messagesIn + one.messagesIn,
    messagesOut: all.messagesOut + one.messagesOut,
    bytesIn: all.bytesIn + one.bytesIn,
    bytesOut: all.bytesOut + one.bytesOut,
    published: all.published + one.published,
    slowReaders: {
      waiting: all.slowReaders.waiting + one.slowReaders.waiting,
      closed: all.slowReaders.closed + one.slowReaders.closed,
      lagging: all.slowReaders.lagging + one.slowReaders.lagging,
    },
    backlogBytes: all.backlogBytes + one.backlogBytes,
    turn: {
      p50Us: Math.max(all.turn.p50Us, one.turn.p50Us),
      p99Us: Math.max(all.turn.p99Us, one.turn.p99Us),
      maxUs: Math.max(all.turn.maxUs, one.turn.maxUs),
    },
  }));
}
