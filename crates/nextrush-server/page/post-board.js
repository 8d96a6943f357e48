/** @typedef {import('./posts-api.js').Post} Post */

/** What became of a post that was put on the board. */
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
    if (known && known.version >= post.version) return Change.Known;
    this.#posts.set(String(post.id), post);
    return known ? Change.Changed : Change.Added;
  }

  clear() {
    this.#posts.clear();
  }

  get posts() {
    const posts = [...this.#posts.values()];
    return posts.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  }

  get size() {
    return this.#posts.size;
  }
}
