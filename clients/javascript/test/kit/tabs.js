/**
 * The tabs of one browser: their locks and channels, in memory. What is said in a channel lies
 * there until `settle`, or is heard one by one.
 */
export class Browser {
  /** @type {Map<string, { tab: object, grant: () => void }[]>} */
  #locks = new Map();
  /** @type {(() => void)[]} */
  #underway = [];
  /** Requests for locks, which reach the browser on a way of their own. @type {(() => void)[]} */
  #requested = [];
  #tabs = new Set();

  /** Opens a tab; what it returns goes to `sharedWebSocket`. */
  open(WebSocket) {
    const browser = this;
    const tab = { channels: new Set(), alive: true };
    this.#tabs.add(tab);
    class Channel {
      onmessage = () => {};
      constructor(name) {
        this.name = name;
        tab.channels.add(this);
      }
      postMessage(data) {
        if (tab.alive) browser.#post(this, structuredClone(data));
      }
    }
    class TabSocket extends WebSocket {
      constructor(...args) {
        super(...args);
        tab.sockets = [...(tab.sockets ?? []), this];
      }
    }
    const request = (name, callback) => {
      this.#requested.push(() => {
        if (!tab.alive) return;
        const queue = this.#locks.get(name) ?? [];
        this.#locks.set(name, queue);
        const release = () => {
          queue.shift();
          queue[0]?.grant();
        };
        // A callback that returns a promise holds the lock, here for ever.
        const grant = () => callback() ?? release();
        queue.push({ tab, grant });
        if (queue.length === 1) grant();
      });
    };
    return {
      platform: { WebSocket: TabSocket, BroadcastChannel: Channel, locks: { request } },
      /** The tab is gone, with all it had. */
      kill: () => {
        tab.alive = false;
        this.#tabs.delete(tab);
        for (const socket of tab.sockets ?? []) socket.break();
        for (const queue of this.#locks.values()) {
          const held = queue[0]?.tab === tab;
          const left = queue.filter((request) => request.tab !== tab);
          queue.splice(0, queue.length, ...left);
          if (held) queue[0]?.grant();
        }
      },
    };
  }

  /**
   * Delivers the oldest message or, if there is none, the newest request for a lock: those of
   * different tabs overtake each other. Returns whether there was anything.
   */
  step() {
    const next = this.#underway.shift() ?? this.#requested.pop();
    next?.();
    return next !== undefined;
  }

  /** Delivers the oldest request for a lock. */
  stepLocks() {
    this.#requested.shift()?.();
  }

  #post(from, data) {
    for (const tab of this.#tabs) {
      for (const channel of tab.channels) {
        if (channel === from || channel.name !== from.name) continue;
        this.#underway.push(() => tab.alive && channel.onmessage({ data }));
      }
    }
  }
}
