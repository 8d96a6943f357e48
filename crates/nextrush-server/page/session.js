import { ClientError, ErrorCode } from '../client/index.js';
import { HttpError, HttpErrorCode, requestJson } from './http.js';
import { BASE } from './place.js';
import { ofThisTab } from './storage.js';
import { readToken } from './token.js';

/** A token that ends sooner is replaced, where that is possible. */
const SOON_MS = 2 * 60_000;

/**
 * The user who is signed in in this tab. Fires `change` when that changes.
 */
export class Session extends EventTarget {
  /** @type {import('./token.js').Identity | null} */
  #identity = null;
  #store;
  #now;
  #mint;
  /** True if the server is known to refuse the present token. */
  #isRefused = false;
  /** @type {Promise<string> | null} */
  #renewal = null;

  /**
   * Takes up the session of this tab, if it has one that is not over.
   *
   * @param {import('./storage.js').KeyValue} [store]
   * @param {() => number} [now] milliseconds since 1970
   * @param {(name: string) => Promise<string>} [mint] a new token
   */
  constructor(store = ofThisTab, now = Date.now, mint = mintedByServer) {
    super();
    this.#mint = mint;
    this.#store = store;
    this.#now = now;
    const identity = readToken(store.get('token') ?? '');
    if (identity && this.#timeLeft(identity) > 0) this.#identity = identity;
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
    this.#become(this.#read(token), false);
  }

  /**
   * Lets the server mint a token for a name, which it does in development mode.
   *
   * @param {string} name
   * @throws {Error} with words to show
   */
  async signInAs(name) {
    this.#become(this.#read(await this.#mint(name)), true);
  }

  signOut() {
    this.#become(null, false);
  }

  /**
   * A token for the next connection or request: the present one or, where the server mints
   * tokens, a new one of the same user when that one is about to end or was refused.
   *
   * @returns {Promise<string>}
   * @throws {ClientError} `unauthorized` when there is none to be had
   */
  token = async () => {
    const identity = this.#identity;
    if (!identity) throw new ClientError(ErrorCode.Unauthorized, 'nobody is signed in');
    const left = this.#timeLeft(identity);
    if (!this.#isRefused && left > SOON_MS) return identity.token;
    if (this.#store.get('minted') !== null) {
      this.#renewal ??= this.#renew(identity).finally(() => {
        this.#renewal = null;
      });
      return this.#renewal;
    }
    if (!this.#isRefused && left > 0) return identity.token;
    throw new ClientError(ErrorCode.Unauthorized, 'the token is not accepted any more');
  };

  /** The server does not take the present token. */
  refused() {
    this.#isRefused = true;
  }

  /**
   * @param {import('./token.js').Identity} identity
   */
  async #renew({ user }) {
    const renewed = this.#read(await this.#mintAgain(String(user.id)));
    if (renewed.user.id !== user.id) throw new ClientError(ErrorCode.Unauthorized, 'the token is of somebody else');
    // Still the same user: nobody needs to hear of it.
    this.#keep(renewed);
    return renewed.token;
  }

  /** @param {string} name */
  async #mintAgain(name) {
    try {
      return await this.#mint(name);
    } catch (cause) {
      if (!(cause instanceof HttpError) || cause.code === HttpErrorCode.Unreachable) throw cause;
      // The server mints no tokens any more.
      throw new ClientError(ErrorCode.Unauthorized, 'there is no new token', { cause });
    }
  }

  /** @param {string} token */
  #read(token) {
    const identity = readToken(token);
    if (!identity) throw new Error('This is not a token with an id and an email.');
    if (this.#timeLeft(identity) <= 0) throw new Error('This token has expired.');
    return identity;
  }

  /**
   * @param {import('./token.js').Identity | null} identity
   * @param {boolean} minted
   */
  #become(identity, minted) {
    this.#store.set('minted', minted ? 'yes' : null);
    this.#keep(identity);
    this.dispatchEvent(new Event('change'));
  }

  /** @param {import('./token.js').Identity | null} identity */
  #keep(identity) {
    this.#identity = identity;
    this.#isRefused = false;
    this.#store.set('token', identity?.token ?? null);
  }

  /**
   * @param {import('./token.js').Identity} identity
   */
  #timeLeft({ expiresAt }) {
    return expiresAt === null ? Infinity : expiresAt - this.#now();
  }
}

/** @param {string} name */
async function mintedByServer(name) {
  const { token } = await requestJson('POST', `${BASE}/api/dev/token`, { body: { name } });
  return token;
}

/**
 * Tells whether the server hands out tokens to anybody who asks.
 *
 * @returns {Promise<boolean>}
 */
export async function inDevelopmentMode() {
  try {
    const { development } = await requestJson('GET', `${BASE}/api/dev`);
    return development === true;
  } catch {
    // Without development mode the address does not exist.
    return false;
  }
}
