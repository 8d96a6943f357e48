/**
 * The size of messages.
 *
 * @module
 */

/** No server takes less than this; a smaller message is not the cause of a 1009. */
const LEAST_BYTES = 512;

/**
 * The longest message that a server takes: told by itself, or learned when it closed the connection
 * with 1009 for a longer one.
 */
export class SizeLimit {
  #bytes = Infinity;
  /** The size of the longest message on this connection. */
  #longest = 0;

  /** @param {string} text */
  fits(text) {
    return sizeOf(text) <= this.#bytes;
  }

  /** @param {string} text What goes out. */
  sent(text) {
    this.#longest = Math.max(this.#longest, sizeOf(text));
  }

  /** The connection is over. */
  ended() {
    this.#longest = 0;
  }

  /** @param {unknown} bytes What the server says. */
  told(bytes) {
    if (Number(bytes) >= LEAST_BYTES) this.#bytes = Number(bytes);
  }

  /** Something was too long for the server. Whatever it was, the longest message is. */
  exceeded() {
    if (this.#longest > LEAST_BYTES) this.#bytes = Math.min(this.#bytes, this.#longest - 1);
  }
}

/**
 * The bytes of a text as UTF-8. Counted here: jsdom and older engines of React Native have no `TextEncoder`.
 *
 * @param {string} text
 */
function sizeOf(text) {
  let bytes = 0;
  for (const char of text) {
    const point = Number(char.codePointAt(0));
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
