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
export function shared(begin, end) {
  /** @type {WeakMap<O, Map<string, number>>} */
  const owners = new WeakMap();
  return (owner, name = '') => {
    const users = owners.get(owner) ?? new Map();
    owners.set(owner, users);
    const before = users.get(name);
    users.set(name, (before ?? 0) + 1);
    if (before === undefined) begin(owner, name);
    let isUser = true;
    return () => {
      if (!isUser) return;
      isUser = false;
      users.set(name, users.get(name) - 1);
      queueMicrotask(() => {
        if (users.get(name) !== 0) return;
        users.delete(name);
        end(owner, name);
      });
    };
  };
}
