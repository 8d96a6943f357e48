/**
 * Requests that outlive the page.
 *
 * @module
 */

/** @import { RequestStore, StoredRequest } from './requests.js' */

/** The only table there is. */
const TABLE = 'requests';

/**
 * Keeps requests in the browser (IndexedDB) until they are answered: what was written without a
 * connection, or just before the page was reloaded, goes out all the same.
 *
 * The name should hold that of the user, so that nobody sends what another has written.
 *
 * @example
 * const chat = new ChatClient('lobby', token, { outbox: new Outbox(`chat of ${user.id}`) });
 *
 * @implements {RequestStore}
 */
export class Outbox {
  #open;
  /** The order of requests that were made in the same millisecond. */
  #last = 0;

  /**
   * @param {string} name Of the database.
   * @param {{ indexedDB?: IDBFactory }} [options] Default: the platform's own.
   */
  constructor(name, { indexedDB = globalThis.indexedDB } = {}) {
    this.#open = once(() => {
      const opening = indexedDB.open(`nextrush-outbox:${name}`, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: 'id' });
      return done(opening);
    });
  }

  /**
   * @returns {Promise<StoredRequest[]>} Oldest first.
   */
  async load() {
    /** @type {(StoredRequest & { order: number })[]} */
    const rows = await this.#do('readonly', (table) => table.getAll());
    return rows
      .sort((a, b) => a.order - b.order)
      .map(({ order, ...request }) => request);
  }

  /**
   * Adds a request, or replaces it in its place.
   *
   * @param {StoredRequest} request
   * @returns {Promise<void>}
   */
  async put(request) {
    const order = (this.#last = Math.max(this.#last + 1, Date.now()));
    await this.#do('readwrite', async (table) => {
      const known = await done(table.get(request.id));
      return table.put({ ...request, order: known?.order ?? order });
    });
  }

  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  async remove(id) {
    await this.#do('readwrite', (table) => table.delete(id));
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(table: IDBObjectStore) => IDBRequest | Promise<IDBRequest>} work
   */
  async #do(mode, work) {
    const database = await this.#open();
    return done(await work(database.transaction(TABLE, mode).objectStore(TABLE)));
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @template T
 * @param {() => Promise<T>} make
 * @returns {() => Promise<T>} Makes it at the first call, and again after a failure.
 */
function once(make) {
  /** @type {Promise<T> | null} */
  let made = null;
  return () => {
    made ??= Promise.resolve()
      .then(make)
      .catch((error) => {
        made = null;
        throw error;
      });
    return made;
  };
}
