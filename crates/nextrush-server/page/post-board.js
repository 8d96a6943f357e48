/** @typedef {import('./posts-api.js').Post} Post */

/** The outcomes of putting a post on the board. */
export const Change = Object.freeze({
  Added: 'added',
  Changed: 'changed',
  /** The board knew this version, or a later one. */
  Known: 'known',
});

/**
 * The posts, newest first. The same post comes by several ways, as the answer to a request and
 * over one or two channels, in any order: the highest version wins.
 */
export class PostBoard {
  /** @type {Map<string, Post>} */
  #posts = new Map();

  /**
   * @param {Post} post
   * @returns {string} one of {@link Change}
   */
  put(post) {
    const known = this.#posts.get(String(post.id));
    // A server that keeps its posts in memory gives the same ids again after a restart.
    const another = known !== undefined && known.createdAt !== post.createdAt;
    if (known && (another ? born(known) > born(post) : known.version >= post.version)) return Change.Known;
    this.#posts.set(String(post.id), post);
    return known && !another ? Change.Changed : Change.Added;
  }

  /** @param {string} id */
  remove(id) {
    this.#posts.delete(id);
  }

  clear() {
    this.#posts.clear();
  }

  get posts() {
    const posts = [...this.#posts.values()];
    return posts.sort((a, b) => born(b) - born(a));
  }

  get size() {
    return this.#posts.size;
  }
}

/** @param {Post} post */
function born({ createdAt }) {
  return Date.parse(createdAt);
}
