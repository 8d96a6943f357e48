import { ClientError, ErrorCode } from '../client/index.js';
import { HttpError, HttpErrorCode, requestJson } from './http.js';
import { ofThisTab } from './storage.js';

/**
 * The figures of a node for one second.
 *
 * @typedef {object} Sample
 * @property {string} at
 * @property {string} [node] absent of all nodes together
 * @property {number} connections
 * @property {number} rooms
 * @property {number} channels
 * @property {number} messagesIn
 * @property {number} messagesOut
 * @property {number} bytesIn
 * @property {number} bytesOut
 * @property {number} published
 * @property {{ waiting: number, closed: number, lagging: number }} slowReaders
 * @property {number} backlogBytes
 * @property {{ p50Us: number, p99Us: number, maxUs: number }} turn
 *
 * @typedef {object} ConnectionRow
 * @property {string} id unique on its node
 * @property {string} node
 * @property {string} endpoint
 * @property {import('./user.js').User | null} user
 * @property {string | null} address
 * @property {string | null} connectedAt
 * @property {number} rooms
 * @property {number} backlogBytes
 *
 * @typedef {{ chat?: string, room: string, members: number }} RoomRow `chat` where there are several
 * @typedef {{ live?: string, channel: string, subscribers: number }} ChannelRow `live` where there are several live updates
 *
 * @typedef {object} SocketTrace
 * @property {string} node
 * @property {string} socket the id of the socket on its node
 * @property {string | number} [user]
 * @property {string} verdict
 * @property {string} text the verdict in words
 * @property {{ at: string, code: number, reason: string }} [closed]
 *
 * @typedef {object} Trace
 * @property {string} published
 * @property {string} [publishedAt]
 * @property {SocketTrace[]} sockets
 * @property {Record<string, number>} counts by verdict
 * @property {string[]} [unanswered]
 * @property {boolean} [othersUnknown]
 *
 * @typedef {{ token: string, expiresAt: number }} Ticket
 */

/** The way into the inspector; `none` where the server has no inspector. @typedef {'open' | 'key' | 'none'} Access */

/** A ticket that ends sooner is replaced, where that is possible. */
const SOON_MS = 60_000;

/**
 * The HTTP side of the inspector.
 *
 * The admin key opens everything for as long as the server runs, so it is kept in memory only and
 * is gone with the page. What it buys is a ticket for ten minutes; that is kept for this tab, so
 * that a reload does not ask for the key again while it lasts.
 */
export class InspectApi {
  /** @type {Access | null} */
  #access = null;
  /** @type {string | null} */
  #key = null;
  /** @type {Ticket | null} */
  #ticket;
  #store;
  #now;
  /** @type {typeof requestJson} */
  #request;
  /** @type {Promise<string> | null} */
  #renewal = null;
  /** The names of the nodes that did not answer the last question. @type {string[]} */
  unanswered = [];
  /** True if the other nodes could not be known: the answer may be of a single node. */
  areOthersUnknown = false;

  /**
   * @param {import('./storage.js').KeyValue} [store]
   * @param {() => number} [now] milliseconds since 1970
   * @param {typeof requestJson} [request]
   * @param {string} [base] the path before `/api/inspect`
   */
  constructor(store = ofThisTab, now = Date.now, request = requestJson, base = '') {
    this.#store = store;
    this.#now = now;
    this.#request = (method, path, options) => request(method, `${base}${path}`, options);
    this.#ticket = readTicket(store.get('ticket'));
  }

  /** @returns {Promise<Access>} */
  async access() {
    try {
      this.#access ??= (await this.#request('GET', '/api/inspect')).access === 'open' ? 'open' : 'key';
      return this.#access;
    } catch (error) {
      // Without an inspector the address does not exist; everything else may be over soon.
      if (error instanceof HttpError && error.code === HttpErrorCode.Refused) return 'none';
      throw error;
    }
  }

  /** True if there is a ticket, or a way to get one without asking anybody. */
  get canEnter() {
    return this.#access === 'open' || this.#key !== null || this.#isValid;
  }

  /**
   * @param {string} key
   * @throws {HttpError} with words to show
   */
  async enter(key) {
    const trimmed = key.trim();
    await this.#buy(trimmed);
    this.#key = trimmed;
  }

  leave() {
    this.#key = null;
    this.#keep(null);
  }

  /**
   * A ticket for the next connection or request.
   *
   * @returns {Promise<string>}
   * @throws {ClientError} `unauthorized` when there is none to be had without the key
   */
  ticket = async () => {
    const ticket = this.#ticket;
    const left = ticket ? ticket.expiresAt - this.#now() : 0;
    if (ticket && left > SOON_MS) return ticket.token;
    if (this.#access === 'open' || this.#key !== null) {
      this.#renewal ??= this.#renew().finally(() => {
        this.#renewal = null;
      });
      return this.#renewal;
    }
    if (ticket && left > 0) return ticket.token;
    throw new ClientError(ErrorCode.Unauthorized, 'the ticket has ended');
  };

  /** The server does not take the present ticket. */
  refused() {
    this.#keep(null);
  }

  /** @returns {Promise<Sample[]>} */
  async metrics() {
    return (await this.#ask('GET', '/api/inspect/metrics')).samples;
  }

  /**
   * @param {{ node?: string | null, user?: string, after?: string, slow?: boolean, limit?: number }} query
   * @returns {Promise<{ connections: ConnectionRow[], total: number }>}
   */
  connections({ node, user, after, slow, limit }) {
    const query = new URLSearchParams();
    if (node) query.set('node', node);
    if (user) query.set('user', user);
    if (after) query.set('after', after);
    if (slow) query.set('slow', 'true');
    if (limit) query.set('limit', String(limit));
    return this.#ask('GET', `/api/inspect/connections?${query}`);
  }

  /**
   * @param {string | null} [node] all without it
   * @returns {Promise<RoomRow[]>}
   */
  async rooms(node) {
    return (await this.#ask('GET', `/api/inspect/rooms${of(node)}`)).rooms;
  }

  /**
   * @param {string | null} [node] all without it
   * @returns {Promise<ChannelRow[]>}
   */
  async channels(node) {
    return (await this.#ask('GET', `/api/inspect/channels${of(node)}`)).channels;
  }

  /**
   * @param {{ room: boolean, name: string, position: string, user: string }} of a publication, and the id of a user or ''
   * @returns {Promise<Trace>}
   */
  trace({ room, name, position, user }) {
    const query = new URLSearchParams({ [room ? 'room' : 'channel']: name, position });
    if (user) query.set('user', user);
    return this.#ask('GET', `/api/inspect/trace?${query}`);
  }

  /**
   * @param {{ userId: import('./user.js').User['id'] } | { connectionId: string, node: string }} whom
   * @returns {Promise<number>} how many connections were ended
   */
  async disconnect(whom) {
    return (await this.#ask('POST', '/api/inspect/disconnect', whom)).disconnected;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  async #ask(method, path, body) {
    const answer = await this.#askOnce(method, path, body).catch(async (error) => {
      if (!(error instanceof HttpError && error.code === HttpErrorCode.Unauthorized)) throw error;
      this.refused();
      return this.#askOnce(method, path, body);
    });
    this.unanswered = answer.unanswered ?? [];
    this.areOthersUnknown = answer.othersUnknown === true;
    return answer;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   */
  async #askOnce(method, path, body) {
    return this.#request(method, path, { token: await this.#token(), body });
  }

  async #token() {
    try {
      return await this.ticket();
    } catch (cause) {
      if (cause instanceof HttpError) throw cause;
      throw new HttpError(HttpErrorCode.Unauthorized, 'The admin key is needed again.', { cause });
    }
  }

  async #renew() {
    try {
      return await this.#buy(this.#key);
    } catch (cause) {
      // Another key holds now, or none: asking again and again would not help.
      if (!(cause instanceof HttpError) || cause.code === HttpErrorCode.Unreachable) throw cause;
      throw new ClientError(ErrorCode.Unauthorized, 'the key is not accepted any more', { cause });
    }
  }

  /** @param {string | null} key */
  async #buy(key) {
    const options = key === null ? {} : { token: key };
    const { token, expiresAt } = await this.#request('POST', '/api/inspect/token', options);
    this.#keep({ token, expiresAt: Date.parse(expiresAt) });
    return /** @type {string} */ (token);
  }

  get #isValid() {
    return this.#ticket !== null && this.#ticket.expiresAt > this.#now();
  }

  /** @param {Ticket | null} ticket */
  #keep(ticket) {
    this.#ticket = ticket;
    this.#store.set('ticket', ticket && JSON.stringify(ticket));
  }
}

/** @param {string | null} [node] */
const of = (node) => (node ? `?${new URLSearchParams({ node })}` : '');

/**
 * @param {string | null} text
 * @returns {Ticket | null}
 */
function readTicket(text) {
  try {
    const { token, expiresAt } = JSON.parse(text ?? '');
    return typeof token === 'string' && typeof expiresAt === 'number' ? { token, expiresAt } : null;
  } catch {
    return null;
  }
}
