/**
 * As much of IndexedDB as the outbox uses, with its ways to fail.
 */
export class FakeIndexedDB {
  /** The rows of each database. @type {Map<string, Map<string, object>>} */
  databases = new Map();
  /** Everything that was opened and not closed. */
  connections = new Set();
  opens = 0;
  /** True: nothing is ever answered. */
  mute = false;
  /** True: nothing more can be written. */
  full = false;

  open(name) {
    this.opens += 1;
    const request = {};
    if (this.mute) return request;
    queueMicrotask(() => {
      request.result = this.#connect(name);
      if (!this.databases.has(name)) {
        this.databases.set(name, new Map());
        request.onupgradeneeded?.();
      }
      request.onsuccess?.();
    });
    return request;
  }

  /** Deletes a database, which waits until nobody has it. Returns whether it is gone. */
  delete(name) {
    for (const connection of [...this.connections]) if (connection.name === name) connection.onversionchange?.();
    if ([...this.connections].some((connection) => connection.name === name)) return false;
    return this.databases.delete(name);
  }

  /** The browser closes everything, and says so or not. */
  lose({ silently = false } = {}) {
    for (const connection of [...this.connections]) {
      this.connections.delete(connection);
      if (!silently) connection.onclose?.();
    }
  }

  #connect(name) {
    const connection = {
      name,
      createObjectStore: () => {},
      close: () => this.connections.delete(connection),
      transaction: () => {
        if (!this.connections.has(connection)) throw new DOMException('closed', 'InvalidStateError');
        return this.#transaction(name);
      },
    };
    this.connections.add(connection);
    return connection;
  }

  #transaction(name) {
    const rows = this.databases.get(name);
    const transaction = { error: null, commit: () => {} };
    const run = (work, writes = false) => {
      const request = {};
      if (this.mute) return request;
      queueMicrotask(() => {
        if (writes && this.full) {
          transaction.error = new DOMException('full', 'QuotaExceededError');
          transaction.onabort?.();
          return;
        }
        request.result = work();
        transaction.oncomplete?.();
      });
      return request;
    };
    transaction.objectStore = () => ({
      getAll: () => run(() => [...rows.values()].map((row) => structuredClone(row))),
      put: (row) => run(() => rows.set(row.id, structuredClone(row)), true),
      delete: (id) => run(() => rows.delete(id)),
    });
    return transaction;
  }
}
