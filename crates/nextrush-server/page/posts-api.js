import { HttpError, HttpErrorCode, requestJson } from './http.js';
import { BASE } from './place.js';

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
 *
 * Where tokens come from.
 * @typedef {{ token: () => Promise<string>, refused: () => void }} Tokens
 */

/** The HTTP side of live posts. Everything throws an `HttpError`. */
export class PostsApi {
  #tokens;

  /** @param {Tokens} tokens */
  constructor(tokens) {
    this.#tokens = tokens;
  }

  /** @returns {Promise<Post[]>} */
  async list() {
    const { posts } = await this.#ask('GET', '/api/posts');
    return posts;
  }

  /**
   * @param {Draft} draft
   * @returns {Promise<Post>}
   */
  async create(draft) {
    const { post } = await this.#ask('POST', '/api/posts', draft);
    return post;
  }

  /**
   * @param {Post['id']} id
   * @param {Draft} draft
   * @returns {Promise<Post>}
   */
  async update(id, draft) {
    const { post } = await this.#ask('PUT', `/api/posts/${encodeURIComponent(id)}`, draft);
    return post;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Draft} [body]
   */
  async #ask(method, path, body) {
    const token = await this.#token();
    try {
      return await requestJson(method, `${BASE}${path}`, { token, body });
    } catch (error) {
      if (!(error instanceof HttpError && error.code === HttpErrorCode.Unauthorized)) throw error;
      this.#tokens.refused();
      return await requestJson(method, `${BASE}${path}`, { token: await this.#token(), body });
    }
  }

  async #token() {
    try {
      return await this.#tokens.token();
    } catch (cause) {
      if (cause instanceof HttpError) throw cause;
      throw new HttpError(HttpErrorCode.Unauthorized, 'Please sign in again.', { cause });
    }
  }
}
