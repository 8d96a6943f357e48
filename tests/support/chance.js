/** What repeats the random choices of a run: `NEXTRUSH_SEED`, or a new one. */
export const SEED = Number(process.env.NEXTRUSH_SEED ?? Math.floor(Math.random() * 2 ** 32));

/**
 * Numbers from 0 to 1 that a seed repeats (mulberry32).
 *
 * @param {number} seed
 */
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
