/**
 * Random numbers that are the same for the same seed (mulberry32).
 *
 * @param {number} seed
 */
export function seeded(seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    random,
    /** A whole number below `limit`. */
    below: (limit) => Math.floor(random() * limit),
    /** One of several. */
    pick: (list) => list[Math.floor(random() * list.length)],
  };
}
