/**
 * Resources with several users.
 *
 * @module
 */
/**
 * Begins something with its first user, and ends it when the last one is gone, and has not come
 * back by the end of the present task: React's Strict Mode lets everybody go and come again at
 * once.
 *
 * @template {object} O
 * @param {(owner: O, name: string) => void} begin
 * @param {(owner: O, name: string) => void} end
 * @returns {(owner: O, name?: string) => () => void} Adds a user; returns what takes it away.
 */
export declare function shared<O extends object>(begin: (owner: O, name: string) => void, end: (owner: O, name: string) => void): (owner: O, name?: string) => () => void;
