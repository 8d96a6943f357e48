/**
 * What was said on all topics, by whoever heard or acknowledged it, and what is wrong with that.
 */
export class Truth {
  /** @type {string[]} */
  violations = [];
  /** The text at each place of each life of each topic. @type {Map<string, string>} */
  #places = new Map();
  /** What was acknowledged, by topic. @type {Map<string, { text: string, epoch: string, offset: number }[]>} */
  acknowledged = new Map();
  /** How often somebody was told of a loss, by the way of telling. @type {Record<string, number>} */
  told = {};

  /** @param {string} what */
  violates(what) {
    this.violations.push(`${((performance.now() - this.begun) / 1_000).toFixed(1)} s: ${what}`);
  }

  begun = performance.now();

  /** @param {string} topic @param {string} epoch @param {number} offset @param {string} text @param {string} by */
  has(topic, epoch, offset, text, by) {
    const place = `${topic} ${epoch} ${offset}`;
    const known = this.#places.get(place) ?? text;
    if (known !== text) this.violates(`${by}: ${place} is "${known}" and "${text}"`);
    this.#places.set(place, text);
  }

  /** @param {string} topic @param {string} text @param {{ epoch: string, offset: number }} position */
  acknowledges(topic, text, { epoch, offset }) {
    this.has(topic, epoch, offset, text, 'the answer');
    const list = this.acknowledged.get(topic) ?? [];
    this.acknowledged.set(topic, list);
    list.push({ text, epoch, offset });
  }

  /** What each was told, for whoever looks into it. @type {string[]} */
  log = [];

  /** @param {string} how @param {string} detail */
  tells(how, detail) {
    this.log.push(`${((performance.now() - this.begun) / 1_000).toFixed(1)} s: ${how}: ${detail}`);
    this.told[how] = (this.told[how] ?? 0) + 1;
  }
}

/**
 * One who follows a topic over all its connections: everything once and in order, or told.
 */
export class Follower {
  epoch = '';
  /** The last one heard, or told of. */
  last = 0;
  /** What came before this was told to be lost, or was before it came. */
  base = 0;
  /** @type {Map<number, string>} */
  heard = new Map();
  /** @type {Map<string, number>} */
  #texts = new Map();
  /** @type {[number, number][]} */
  gaps = [];
  /** False for one that does not know its epoch each time. */
  tellsEpoch = true;

  /** @param {string} name @param {string} topic @param {Truth} truth */
  constructor(name, topic, truth) {
    this.name = name;
    this.topic = topic;
    this.truth = truth;
  }

  get position() {
    return this.epoch ? { epoch: this.epoch, offset: this.last } : undefined;
  }

  /** A publication. @param {number} offset @param {string} text */
  hear(offset, text) {
    const { truth, topic } = this;
    const where = `${this.name} of ${topic} at ${this.epoch}/${this.last}`;
    if (offset !== this.last + 1) {
      truth.violates(offset > this.last ? `${where} misses ${this.last + 1} to ${offset - 1} untold` : `${where} hears ${offset} "${text}" again or late`);
    }
    const before = this.#texts.get(text);
    if (before !== undefined && before !== offset) truth.violates(`${where} hears "${text}" at ${before} and ${offset}`);
    // After a return it may be in a life of which it does not say so.
    if (this.tellsEpoch) truth.has(topic, this.epoch, offset, text, this.name);
    this.heard.set(offset, text);
    this.#texts.set(text, offset);
    this.last = Math.max(offset, this.last);
  }

  /** It begins anew, and was told so. @param {string} epoch @param {number} offset @param {string} how */
  restart(epoch, offset, how) {
    if (this.epoch) this.truth.tells(how, `${this.name} of ${this.topic} at ${this.epoch}/${this.last}, now ${epoch}/${offset}`);
    this.epoch = epoch;
    this.base = this.last = offset;
    this.heard.clear();
    this.#texts.clear();
    this.gaps = [];
  }

  /** The answer to its coming, or coming back. @param {{ epoch: string, offset: number, recovered?: boolean, reason?: string }} answer */
  enter({ epoch, offset, recovered, reason }) {
    if (recovered === true) {
      this.epoch = epoch;
      if (offset < this.last) this.truth.violates(`${this.name} of ${this.topic} is recovered from ${this.last}, of ${offset}`);
    } else {
      this.restart(epoch, offset, `not recovered: ${reason}`);
    }
  }

  /** @param {{ from: number, to: number, epoch: string }} gap */
  lose({ from, to, epoch }) {
    if (epoch !== this.epoch) return this.restart(epoch, to, 'gap of another epoch');
    if (to <= this.last) return;
    this.truth.tells('gap', `${this.name} of ${this.topic} at ${this.epoch}/${this.last}: ${from} to ${to}`);
    if (from > this.last + 1) this.truth.violates(`${this.name} of ${this.topic} at ${this.last} is told of ${from} to ${to} only`);
    this.gaps.push([this.last + 1, to]);
    this.last = to;
  }

  /** @param {{ epoch: string, offset: number }} renewed */
  renew({ epoch, offset }) {
    this.truth.tells('renewed', `${this.name} of ${this.topic} at ${this.epoch}/${this.last}: ${epoch}/${offset}`);
    this.epoch = epoch;
    if (offset < this.last) this.truth.violates(`${this.name} of ${this.topic} at ${this.last} is renewed up to ${offset} only`);
  }

  /** Everything that is kept was heard, or told to be lost. @param {{ epoch: string, offset: number, items: [number, string][] }} history */
  check({ epoch, offset, items }) {
    const { truth, topic, name } = this;
    if (this.tellsEpoch && epoch !== this.epoch) truth.violates(`${name} of ${topic} is in ${this.epoch} and not in ${epoch}`);
    if (offset !== this.last) truth.violates(`${name} of ${topic} is at ${this.last} of ${offset}`);
    for (const [at, text] of items) {
      if (at <= this.base || this.gaps.some(([from, to]) => from <= at && at <= to)) continue;
      if (this.heard.get(at) !== text) truth.violates(`${name} of ${topic} has "${this.heard.get(at)}" at ${at} and not "${text}"`);
    }
  }

  /** Nothing that was acknowledged is missing: in all lives, or where some may have lost it, in the present one. @param {boolean} isLossy */
  checkAcknowledged(isLossy) {
    for (const { text, epoch, offset } of this.truth.acknowledged.get(this.topic) ?? []) {
      if (isLossy && (!this.tellsEpoch || epoch !== this.epoch)) continue;
      if (offset <= this.base || offset > this.last || this.gaps.some(([from, to]) => from <= offset && offset <= to)) continue;
      if (this.heard.get(offset) !== text) this.truth.violates(`${this.name} of ${this.topic} at ${this.epoch}/${this.last} has "${this.heard.get(offset)}" and not "${text}", acknowledged at ${epoch}/${offset}`);
    }
  }
}
