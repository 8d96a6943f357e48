import assert from 'node:assert/strict';

/** Those of a server that keeps positions, and leaves nothing out without a word. */
const REASONS = ['epoch', 'history', 'ahead', 'slow'];

/** What a reader received of a stream, checked as it comes. */
export class Reader {
  events = 0;
  #stream = null;
  #next = null;

  /** A publication, whose content is its place: `epoch/offset`. */
  publication(place) {
    const [epoch, offset] = place.split('/');
    this.events += 1;
    if (this.#stream !== null) {
      assert.equal(epoch, this.#stream, 'another stream began without a word');
      assert.equal(Number(offset), this.#next, 'a publication is missing, doubled or out of order');
    }
    this.#stream = epoch;
    this.#next = Number(offset) + 1;
  }

  gap({ reason, from, to }) {
    this.events += 1;
    assert.ok(REASONS.includes(reason), `a gap for the reason ${reason}`);
    if (from === undefined) {
      // Any number may be missing: whatever comes next is right.
      this.#stream = null;
      return;
    }
    if (this.#stream !== null) assert.equal(from, this.#next, 'the gap begins elsewhere');
    this.#next = to + 1;
  }

  /** The end: nothing is outstanding. */
  whole({ epoch, offset }, top) {
    assert.equal(offset, top, 'something is still missing');
    if (this.#stream !== null) {
      assert.equal(epoch, this.#stream);
      assert.equal(this.#next, top + 1);
    }
  }
}
