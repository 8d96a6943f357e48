import { once } from 'node:events';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';
import { LiveClient } from '../../clients/javascript/src/index.js';
import { eventually, within } from './patience.js';

/** Between two publications of a publisher, in milliseconds. */
const PAUSE_MS = 20;

/** A certificate that is trusted, or the address from which to connect. @typedef {import('node:tls').ConnectionOptions} Tls */

/**
 * Publishers who publish over HTTP, one request after the other, and followers of what they publish: each in a
 * channel of its own, with as many followers.
 */
export class Load {
  /** The answers to publishers other than success. @type {string[]} */
  refused = [];
  /** What was told to followers beside updates. @type {string[]} */
  told = [];
  /** The longest time that an answer took, in milliseconds. */
  slowest = 0;
  #at;
  #key;
  #tls;
  #channels;
  /** What was acknowledged, by channel: texts in the order of their offsets. @type {Map<string, string[]>} */
  #acknowledged = new Map();
  /** @type {{ client: LiveClient, channel: string, seen: string[] }[]} */
  #followers = [];
  #isOver = false;
  /** @type {Promise<unknown>[]} */
  #publishers = [];

  /**
   * @param {{ at: string, key: string, tls: Tls, channels: string[] }} options `at` is the address of the server,
   *   without a scheme
   */
  constructor({ at, key, tls, channels }) {
    this.#at = at;
    this.#key = key;
    this.#tls = { ...tls };
    this.#channels = channels;
  }

  /**
   * Connects followers, and waits until they are subscribed.
   *
   * @param {string[]} tokens of the followers of each channel
   */
  async follow(tokens) {
    const tls = this.#tls;
    class Socket extends WebSocket {
      /** @param {string} url @param {string[]} protocols */
      constructor(url, protocols) {
        super(url, protocols, tls);
      }
    }
    for (const channel of this.#channels) {
      for (const token of tokens) {
        const client = new LiveClient(token, { server: `wss://${this.#at}`, WebSocket: Socket });
        const subscription = client.subscribe(channel);
        /** @type {string[]} */
        const seen = [];
        subscription.on('update', ({ offset, data }) => seen.push(line(offset, data)));
        subscription.on('gap', (gap) => this.told.push(`${channel}: ${JSON.stringify(gap)}`));
        client.on('state', ({ state, reason }) => state === 'failed' && this.told.push(`failed: ${reason}`));
        this.#followers.push({ client, channel, seen });
        client.connect();
      }
    }
    await this.areFollowing();
  }

  /** Waits until all followers are subscribed. */
  async areFollowing() {
    const isThere = (/** @type {LiveClient} */ client) => client.subscriptions.every(({ state }) => state === 'subscribed');
    await eventually(() => this.#followers.every(({ client }) => isThere(client)), 'all followers');
  }

  /** Has publishers, and whoever connects from now on, trust another certificate. @param {Tls} tls */
  trust(tls) {
    Object.assign(this.#tls, tls);
  }

  /** Begins to publish. */
  start() {
    this.#publishers = this.#channels.map((channel) => this.#publish(channel));
  }

  /** @param {string} channel */
  async #publish(channel) {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...this.#tls });
    /** @type {string[]} */
    const acknowledged = [];
    this.#acknowledged.set(channel, acknowledged);
    for (let number = 1; !this.#isOver; number += 1) {
      const asked = performance.now();
      const { status, body } = await this.#post(agent, channel, number);
      this.slowest = Math.max(this.slowest, performance.now() - asked);
      if (status === 200) acknowledged.push(line(JSON.parse(body).offset, number));
      else this.refused.push(`${channel} ${number}: ${status} ${body}`);
      await pause(PAUSE_MS);
    }
    agent.destroy();
  }

  /**
   * @param {https.Agent} agent
   * @param {string} channel
   * @param {number} data
   */
  async #post(agent, channel, data) {
    const headers = { Authorization: `Bearer ${this.#key}`, 'Content-Type': 'application/json' };
    const request = https.request(`https://${this.#at}/api/v1/publish`, { method: 'POST', agent, headers });
    request.end(JSON.stringify({ channel, data }));
    try {
      /** @type {[import('node:http').IncomingMessage]} */
      const [response] = await within(once(request, 'response'), 'an answer to a publication');
      let body = '';
      for await (const part of response.setEncoding('utf8')) body += part;
      return { status: response.statusCode, body };
    } catch (error) {
      return { status: 0, body: String(error) };
    }
  }

  /** How many publications were acknowledged. */
  get count() {
    return [...this.#acknowledged.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** Waits until each publisher has had so many further publications acknowledged. @param {number} more */
  async goesOn(more) {
    const wanted = new Map([...this.#acknowledged].map(([channel, { length }]) => [channel, length + more]));
    const has = () => [...wanted].every(([channel, count]) => this.#acknowledged.get(channel)?.length >= count);
    await eventually(() => this.refused.length > 0 || has(), 'publishers to go on');
  }

  /**
   * Ends publishing, waits until each follower has what was published last, and says what is wrong: what was
   * refused or told, what a follower lacks, and what it has twice or in another order.
   *
   * @returns {Promise<string[]>}
   */
  async end() {
    this.#isOver = true;
    await Promise.all(this.#publishers);
    const isThere = (/** @type {{ channel: string, seen: string[] }} */ { channel, seen }) =>
      seen.at(-1) === this.#acknowledged.get(channel)?.at(-1);
    const late = () => this.#followers.filter((follower) => !isThere(follower)).map(({ channel }) => channel);
    await eventually(() => late().length === 0, () => `what was published last, in ${late()}; ${this.told}`).catch((error) => {
      this.told.push(String(error));
    });
    const wrong = [...this.refused, ...this.told];
    for (const [index, { channel, seen }] of this.#followers.entries()) {
      const acknowledged = this.#acknowledged.get(channel) ?? [];
      const has = new Set(seen);
      for (const one of acknowledged) if (!has.has(one)) wrong.push(`follower ${index} lacks ${channel} ${one}`);
      seen.forEach((one, place) => {
        if (one !== acknowledged[place]) wrong.push(`follower ${index} has ${channel} ${one} at ${place}`);
      });
    }
    return wrong;
  }

  /** Ends the clients. */
  close() {
    this.#isOver = true;
    for (const { client } of this.#followers) client.close();
  }
}

/** A publication as a line. @param {number | undefined} offset @param {unknown} data */
function line(offset, data) {
  return `${offset}: ${JSON.stringify(data)}`;
}
