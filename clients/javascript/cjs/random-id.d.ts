/**
 * Names that nobody else has.
 *
 * @module
 */
/**
 * @returns {string} 96 random bits, in letters and digits.
 */
export declare function randomId(): string;
