import { requestJson } from './http.js';

/**
 * @typedef {object} Post
 * @property {string | number} id
 * @property {string} title
 * @property {string} body
 * @property {import('./user.js').User} author
 * @property {string} createdAt
 * @property {string} updatedAt
 * @property {number} version rises with each change
 *
 * @typedef {{ title: string, body: string }} Draft
 */

/** The HTTP side of live posts. Everything throws an `HttpError`. */
export class PostsApi {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** @returns {Promise<Post[]>} */
  async list() {
    const { posts } = await requestJson('GET', '/api/posts', { token: this.#token });
    return posts;
  }

  /**
   * @param {Draft} draft
   * @returns {Promise<Post>}
   */
  async create(draft) {
    const { post } = await requestJson('POST', '/api/posts', { token: this.#token, body: draft });
    return post;
  }

  /**
   * @param {Post['id']} id
   * @param {Draft} draft
   * @returns {Promise<Post>}
   */
  async update(id, draft) {
    const path = `/api/posts/${encodeURIComponent(id)}`;
    const { post } = await requestJson('PUT', path, { token: this.#token, body: draft });
    return post;
  }
}
