/**
 * A stand-in for the server's side of the inspector, in the browser's own network: what a server
 * with thousands of connections says, and one that fails.
 *
 * @module
 */

import { eventually } from './patience.js';

export const ADMIN_KEY = 'an admin key of tests, thirty-two bytes and more';

/** @typedef {{ access?: 'open' | 'key' | 'none', lifetimeMs?: number, samples?: any[], connections?: any[], rooms?: any[], channels?: any[] }} Script */

export class Inspector {
  /** Every request, as `GET /api/inspect/rooms`. @type {string[]} */
  requests = [];
  /** What was asked to be disconnected. @type {unknown[]} */
  disconnected = [];
  /** With what status requests fail; 0: they do not. */
  failing = 0;
  #script;
  #tickets = 0;
  /** @type {Set<string>} */
  #valid = new Set();
  /** @type {Set<import('playwright-core').WebSocketRoute>} */
  #metrics = new Set();
  /** @type {Map<import('playwright-core').WebSocketRoute, string>} */
  #tails = new Map();

  /** @param {Script} script */
  constructor(script) {
    this.#script = { access: 'open', lifetimeMs: 600_000, samples: [], connections: [], rooms: [], channels: [], ...script };
  }

  /**
   * @param {import('playwright-core').Page} page
   * @param {Script} [script]
   */
  static async install(page, script = {}) {
    const inspector = new Inspector(script);
    await page.route(/\/api\/inspect(\/|\?|$)/, (route) => inspector.#answer(route));
    await page.routeWebSocket(/\/inspect(\/tail)?(\?|$)/, (socket) => inspector.#accept(socket));
    return inspector;
  }

  /** A second passes, once somebody follows. @param {any} sample */
  async tick(sample) {
    await eventually(() => this.#metrics.size > 0, 'somebody who follows the figures');
    const update = { type: 'update', channel: 'metrics', data: sample, timestamp: sample.at, offset: 1 };
    for (const socket of this.#metrics) socket.send(JSON.stringify({ ...update, offset: undefined }));
  }

  /** @param {string} channel @param {unknown} data @param {number} offset */
  publish(channel, data, offset) {
    const update = { type: 'update', channel, data, timestamp: new Date().toISOString(), offset };
    for (const [socket, followed] of this.#tails) if (followed === channel) socket.send(JSON.stringify(update));
  }

  /** Tickets end. */
  async revoke() {
    this.#valid.clear();
    for (const socket of [...this.#metrics, ...this.#tails.keys()]) await socket.close({ code: 1008, reason: 'Token expired' });
    this.#metrics.clear();
    this.#tails.clear();
  }

  /** @param {import('playwright-core').Route} route */
  async #answer(route) {
    const request = route.request();
    const { pathname, searchParams } = new URL(request.url());
    const { access, lifetimeMs = 0, samples, connections = [], rooms, channels } = this.#script;
    this.requests.push(`${request.method()} ${pathname}`);
    const json = (/** @type {unknown} */ body, status = 200) => route.fulfill({ status, json: body });
    if (access === 'none') return route.fulfill({ status: 404 });
    if (this.failing !== 0) return json({ code: 'unavailable', message: 'the broker failed' }, this.failing);
    const bearer = (await request.headerValue('authorization'))?.replace('Bearer ', '');
    if (pathname === '/api/inspect') return json({ access });
    if (pathname === '/api/inspect/token') {
      if (access === 'key' && bearer !== ADMIN_KEY) return json({ code: 'invalid-token', message: 'Invalid key' }, 401);
      const token = `ticket-${(this.#tickets += 1)}`;
      this.#valid.add(token);
      return json({ token, expiresAt: new Date(Date.now() + lifetimeMs).toISOString() }, 201);
    }
    if (!this.#valid.has(bearer ?? '')) return json({ code: 'invalid-token', message: 'Invalid token' }, 401);
    switch (pathname) {
      case '/api/inspect/metrics':
        return json({ samples });
      case '/api/inspect/connections': {
        const [user, node] = [searchParams.get('user'), searchParams.get('node')];
        const isWanted = (/** @type {any} */ row) => (user === null || String(row.user?.id) === user) && (node === null || row.node === node);
        const found = connections.filter(isWanted);
        if (searchParams.get('slow')) found.sort((a, b) => b.backlogBytes - a.backlogBytes);
        return json({ connections: found.slice(0, Number(searchParams.get('limit') ?? 100)), total: found.length });
      }
      case '/api/inspect/rooms':
        return json({ rooms });
      case '/api/inspect/channels':
        return json({ channels });
      case '/api/inspect/disconnect': {
        const whom = request.postDataJSON();
        this.disconnected.push(whom);
        const gone = (/** @type {any} */ row) => row.id === whom.connectionId || row.user?.id === whom.userId;
        this.#script.connections = connections.filter((row) => !gone(row));
        return json({ disconnected: connections.filter(gone).length });
      }
      default:
        return route.fulfill({ status: 404 });
    }
  }

  /** @param {import('playwright-core').WebSocketRoute} socket */
  #accept(socket) {
    const { pathname } = new URL(socket.url());
    const ticket = socket.protocols().find((protocol) => protocol.startsWith(BEARER))?.slice(BEARER.length);
    if (!this.#valid.has(ticket ?? '')) {
      socket.send(JSON.stringify({ type: 'error', code: 'invalid-token', message: 'Invalid token' }));
      void socket.close({ code: 1008, reason: 'Invalid token' });
      return;
    }
    socket.onMessage((text) => {
      const { type, channel, id } = JSON.parse(String(text));
      if (type !== 'subscribe') {
        if (id !== undefined) socket.send(JSON.stringify({ type: 'error', code: 'unknown-type', message: 'Unknown message type', id }));
        return;
      }
      if (pathname.endsWith('/tail')) this.#tails.set(socket, channel);
      else this.#metrics.add(socket);
      socket.send(JSON.stringify({ type: 'subscribed', channel, id, epoch: '018bcfe5-6800-7abc-8def-0123456789ab', offset: 0 }));
    });
    socket.onClose(() => {
      this.#metrics.delete(socket);
      this.#tails.delete(socket);
    });
  }
}

/** The subprotocol that carries a ticket, with the ticket behind it. */
const BEARER = 'nextrush.bearer.';

/**
 * What a busy server says of a second.
 *
 * @param {number} second since 1970
 * @param {object} [more]
 */
export function sample(second, more = {}) {
  const wave = Math.sin(second / 17) + Math.sin(second / 5.3) / 3;
  return {
    at: new Date(second * 1000).toISOString(),
    connections: Math.round(12_400 + 600 * wave),
    rooms: 318,
    channels: 74,
    messagesIn: Math.round(1_850 + 420 * wave),
    messagesOut: Math.round(48_200 + 9_300 * wave),
    bytesIn: 210_000,
    bytesOut: 6_100_000,
    published: Math.round(1_700 + 400 * wave),
    slowReaders: { waiting: 12, closed: 3, lagging: 1 },
    backlogBytes: Math.round(180_000 + 120_000 * wave),
    turn: { p50Us: Math.round(90 + 20 * wave), p99Us: Math.round(1_300 + 700 * wave), maxUs: 9_000 },
    ...more,
  };
}

/** @param {number} n */
export function connection(n, more = {}) {
  return {
    id: `0-${n}`,
    endpoint: n % 3 === 0 ? '/live' : '/chat/{roomId}',
    user: n % 7 === 0 ? null : { id: `user-${n}`, email: `user-${n}@example.com` },
    address: `192.0.2.${n % 250}`,
    connectedAt: new Date(Date.now() - n * 61_000).toISOString(),
    rooms: 1 + (n % 4),
    backlogBytes: n % 11 === 0 ? n * 1_000 : 0,
    ...more,
  };
}
