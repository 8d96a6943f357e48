/**
 * @typedef {import('./user.js').User} User
 */

/**
 * The names by which the page calls people: what stands before the `@`, since nobody calls a
 * colleague by a whole address. As soon as two people have the same, both are called by more of it, so
 * that nobody is taken for somebody else.
 */
export class Names {
  /** The people with each short name: their addresses, by their keys. @type {Map<string, Map<string, string>>} */
  #people = new Map();
  #changed;

  /** @param {() => void} changed called when somebody is called by another name than before */
  constructor(changed = () => {}) {
    this.#changed = changed;
  }

  /**
   * @param {User} user
   * @returns {string}
   */
  of({ id, email = '' }) {
    const key = JSON.stringify(id);
    const short = shortName(email) || String(id);
    const people = this.#people.get(short) ?? new Map();
    const known = people.has(key);
    this.#people.set(short, people.set(key, email));
    if (!known && people.size > 1) this.#changed();
    if (people.size === 1) return short;
    const namesakes = [...people].filter(([other, address]) => other !== key && address === email);
    if (email && namesakes.length === 0) return email;
    // `1` and `"1"` are two people.
    return `${email || short} (${key})`;
  }
}

/** @param {string} email */
function shortName(email) {
  return email.split('@', 1)[0]?.trim() ?? '';
}
