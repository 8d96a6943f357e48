import { requestJson } from './http.js';
import { ofThisTab } from './storage.js';
import { readToken } from './token.js';

/**
 * Who is signed in in this tab. Fires `change` when that changes.
 */
export class Session extends EventTarget {
  /** @type {import('./token.js').Identity | null} */
  #identity = null;
  #store;
  #now;

  /**
   * Takes up the session of this tab, if it has one that is not over.
   *
   * @param {import('./storage.js').KeyValue} [store]
   * @param {() => number} [now] milliseconds since 1970
   */
  constructor(store = ofThisTab, now = Date.now) {
    super();
    this.#store = store;
    this.#now = now;
    const identity = readToken(store.get('token') ?? '');
    if (identity && !this.#isOver(identity)) this.#identity = identity;
  }

  get identity() {
    return this.#identity;
  }

  /**
   * Signs in with a token.
   *
   * @param {string} token
   * @throws {Error} with words to show, if the token is none or has expired
   */
  signIn(token) {
    const identity = readToken(token);
    if (!identity) throw new Error('This is not a token with an id and an email.');
    if (this.#isOver(identity)) throw new Error('This token has expired.');
    this.#become(identity);
  }

  /**
   * Lets the server mint a token for a name, which it does in development mode.
   *
   * @param {string} name
   * @throws {Error} with words to show
   */
  async signInAs(name) {
    const { token } = await requestJson('POST', '/api/dev/token', { body: { name } });
    this.signIn(token);
  }

  signOut() {
    this.#become(null);
  }

  /**
   * @param {import('./token.js').Identity | null} identity
   */
  #become(identity) {
    this.#identity = identity;
    this.#store.set('token', identity?.token ?? null);
    this.dispatchEvent(new Event('change'));
  }

  /**
   * @param {import('./token.js').Identity} identity
   */
  #isOver({ expiresAt }) {
    return expiresAt !== null && expiresAt <= this.#now();
  }
}

/**
 * Whether the server hands out tokens to anybody who asks.
 *
 * @returns {Promise<boolean>}
 */
export async function inDevelopmentMode() {
  try {
    const { development } = await requestJson('GET', '/api/dev');
    return development === true;
  } catch {
    // Without development mode the address does not exist.
    return false;
  }
}
