/**
 * Names that nobody else has.
 *
 * @module
 */

/**
 * @returns {string} 96 random bits, in letters and digits.
 */
export function randomId() {
  // `randomUUID` is there on pages with HTTPS only.
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('');
}
