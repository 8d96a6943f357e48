import { LiveClient, SubscriptionState } from '../client/index.js';
import { el, part, setText } from './dom.js';
import { bytes, count } from './units.js';

/** The most publications that are kept on the screen. */
const KEPT = 500;

/** The most that is shown of a publication before it is opened, in characters. */
const PREVIEW = 400;

/** The most that is shown of a publication when it is open, in characters. */
const SHOWN = 65_536;

/** The distance from its end at which the log still counts as read to the end, in pixels. */
const NEAR_END = 24;

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hour12: false });

/** The publications of one channel, as they come. */
export class Tail {
  #form;
  /** @type {HTMLInputElement} */
  #input;
  #button;
  #pause;
  #state;
  #log;
  #list;
  #options;
  /** @type {LiveClient | null} */
  #client = null;
  #channel = '';
  /** The name of the channel's live updates, where there are several. @type {string | undefined} */
  #live;
  #seen = 0;
  #isPaused = false;
  /** The entries that came while the tail was paused. @type {HTMLElement[]} */
  #held = [];

  /**
   * @param {HTMLElement} root
   * @param {{ ticket: () => Promise<string>, server?: string, onChannel: (channel: string | null) => void, onRefused: () => void, onSignedOut: () => void }} options
   */
  constructor(root, options) {
    this.#options = options;
    this.#form = part(root, 'tail-form');
    this.#input = part(root, 'tail-channel');
    this.#button = part(root, 'tail-button');
    this.#pause = part(root, 'tail-pause');
    this.#state = part(root, 'tail-state');
    this.#log = part(root, 'tail-log');
    this.#list = part(root, 'tail-entries');
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const channel = this.#input.value.trim();
      if (this.#client && channel === this.#channel) options.onChannel(null);
      else if (channel !== '') options.onChannel(channel);
    });
    this.#input.addEventListener('input', () => this.#showButton());
    this.#pause.addEventListener('click', () => this.#togglePause());
    part(root, 'tail-clear').addEventListener('click', () => this.#clear());
    this.#showState('Choose a channel.');
  }

  /** @param {string[]} channels those that have subscribers */
  suggest(channels) {
    const list = part(document, 'tail-suggestions');
    list.replaceChildren(...channels.map((value) => el('option', { value })));
  }

  /**
   * @param {string | null} channel `null` stops
   * @param {string} [live] the name of its live updates; the first without it
   */
  follow(channel, live) {
    if (channel !== null && this.#client && channel === this.#channel && live === this.#live) return;
    this.stop();
    if (channel === null) return;
    this.#channel = channel;
    this.#live = live;
    this.#input.value = channel;
    this.#clear();
    // The server's own channels, with the ticket: not those of a user.
    const server = new URL(this.#options.server ?? '/', location.href);
    if (live !== undefined) server.searchParams.set('live', live);
    const client = new LiveClient(this.#options.ticket, {
      server: server.href,
      path: 'inspect/tail',
      tokenIn: 'subprotocol',
    });
    this.#client = client;
    client.on('state', ({ state, reason }) => {
      if (reason === 'token-refused') this.#options.onRefused();
      if (state === 'failed' && reason === 'unauthorized') return this.#options.onSignedOut();
      if (state !== 'connected') this.#showState(state === 'connecting' ? 'Connecting…' : 'Connection lost, reconnecting…');
    });
    const subscription = client.subscribe(channel);
    subscription.on('update', (update) => this.#add(this.#entry(update)));
    subscription.on('gap', ({ from, to }) => {
      const words = from !== undefined && to !== undefined ? `${count(to - from + 1)} publications were missed here` : 'Publications may be missing here';
      this.#add(el('li', { class: 'tail-gap', 'data-testid': 'tail-gap' }, words));
    });
    subscription.on('refused', ({ message }) => this.#showState(`Refused: ${message}`));
    subscription.on('state', (state) => {
      if (state === SubscriptionState.Subscribed) this.#showSeen();
    });
    client.connect();
    this.#showState('Connecting…');
    this.#showButton();
  }

  stop() {
    if (!this.#client) return;
    this.#client.close();
    this.#client = null;
    this.#showState(`Stopped after ${count(this.#seen)} of #${this.#channel}.`);
    this.#showButton();
  }

  /** @param {import('../client/index.js').Update} update */
  #entry({ data, timestamp, offset }) {
    this.#seen += 1;
    const text = JSON.stringify(data);
    const head = [
      el('time', { datetime: timestamp }, time.format(new Date(timestamp))),
      el('span', { class: 'tail-offset' }, offset === undefined ? '' : String(offset)),
      el('span', { class: 'tail-size' }, bytes(new TextEncoder().encode(text).length)),
    ];
    const preview = el('code', {}, text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text);
    const details = el('details', {}, el('summary', {}, ...head, preview));
    details.addEventListener('toggle', () => {
      if (details.open && details.childElementCount === 1) {
        const whole = JSON.stringify(data, null, 2);
        details.append(el('pre', {}, whole.length > SHOWN ? `${whole.slice(0, SHOWN)}…` : whole));
      }
    });
    return el('li', { 'data-testid': 'tail-entry', 'data-offset': offset }, details);
  }

  /** @param {HTMLElement} entry */
  #add(entry) {
    if (this.#isPaused) {
      this.#held.push(entry);
      if (this.#held.length > KEPT) this.#held.shift();
      return this.#showSeen();
    }
    this.#showSeen();
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    this.#list.append(entry);
    while (this.#list.childElementCount > KEPT) this.#list.firstElementChild?.remove();
    if (isAtEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.#pause.setAttribute('aria-pressed', String(this.#isPaused));
    if (!this.#isPaused) for (const entry of this.#held.splice(0)) this.#add(entry);
    this.#showSeen();
  }

  #clear() {
    this.#seen = 0;
    this.#held = [];
    this.#list.replaceChildren();
    if (this.#client) this.#showSeen();
  }

  #showSeen() {
    if (!this.#client) return;
    const paused = this.#isPaused ? `, paused with ${count(this.#held.length)} waiting` : '';
    this.#showState(this.#seen === 0 ? 'Following. Nothing published yet.' : `Following: ${count(this.#seen)} published${paused}`);
  }

  /** @param {string} words */
  #showState(words) {
    setText(this.#state, words);
  }

  #showButton() {
    setText(this.#button, this.#client && this.#input.value.trim() === this.#channel ? 'Stop' : 'Follow');
  }
}
