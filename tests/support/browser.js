import assert from 'node:assert/strict';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE_MS, within } from './patience.js';

/** What the browser itself says about connections that were lost or refused. */
export const LOST = /^WebSocket connection to|ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|status of 426/;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the browser that the environment variable `CHROMIUM` names.
 *
 * @param {...string} flags
 */
export function launch(...flags) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [...FLAGS, ...flags],
    timeout: PATIENCE_MS,
  });
}

/**
 * Somebody with a browser of their own, as far as storage and cookies go. Whatever goes wrong in
 * the page is noted.
 */
export class Visitor {
  /** Errors of the page, of its console and of its network. @type {string[]} */
  troubles = [];
  /** @type {import('playwright-core').BrowserContext} */
  context;
  /** @type {import('playwright-core').Page} */
  page;
  #origin;

  /**
   * @param {string} origin the only one that the page may talk to
   */
  constructor(origin) {
    this.#origin = origin;
  }

  /**
   * @param {import('playwright-core').Browser} browser
   * @param {string} origin
   * @param {import('playwright-core').BrowserContextOptions} [options]
   */
  static async arrive(browser, origin, options) {
    const visitor = new Visitor(origin);
    visitor.context = await browser.newContext(options);
    visitor.context.setDefaultTimeout(PATIENCE_MS);
    visitor.page = await visitor.context.newPage();
    visitor.#watch();
    return visitor;
  }

  #watch() {
    const { page, troubles } = this;
    const own = [`${this.#origin}/`, `${this.#origin.replace('http', 'ws')}/`];
    const check = (/** @type {string} */ url) => {
      if (!own.some((prefix) => url.startsWith(prefix))) troubles.push(`a request to ${url}`);
      // Addresses end up in logs.
      if (/[?&]token=/.test(url)) troubles.push(`a token in the address ${url}`);
    };
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') troubles.push(message.text());
    });
    page.on('pageerror', (error) => troubles.push(String(error)));
    page.on('request', (request) => check(request.url()));
    page.on('websocket', (socket) => check(socket.url()));
  }

  /** @param {string} testId */
  part(testId) {
    return this.page.getByTestId(testId);
  }

  /**
   * Waits until a part of the page shows a text.
   *
   * @param {string} testId
   * @param {string | RegExp} text
   */
  async sees(testId, text) {
    await this.part(testId).filter({ hasText: text }).first().waitFor();
  }

  /**
   * Waits until a connection is in a state. `connected` only says that a socket is open: see
   * {@link isMember} and {@link hasPosts}.
   *
   * @param {string} state
   * @param {string} [testId] `live-connection` for that of the posts
   */
  async isNow(state, testId = 'connection') {
    await this.page.locator(`[data-testid="${testId}"][data-state="${state}"]`).waitFor();
  }

  /**
   * Begins to wait for a state that may be over before somebody looks for it, as that of a lost
   * connection that comes back by itself.
   *
   * @param {RegExp} state
   * @param {string} [testId]
   * @returns {Promise<() => Promise<unknown>>} waits for its end
   */
  async willBe(state, testId = 'connection') {
    const seen = await this.page.evaluateHandle(
      ({ testId, source }) => {
        const element = /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${testId}"]`));
        const promise = new Promise((resolve) => {
          new MutationObserver(() => {
            const { state } = element.dataset;
            if (new RegExp(source).test(state ?? '')) resolve(state);
          }).observe(element, { attributes: true, attributeFilter: ['data-state'] });
        });
        // Wrapped, as a promise itself would be waited for.
        return { promise };
      },
      { testId, source: state.source },
    );
    return () => within(seen.evaluate(({ promise }) => promise), `${testId} to be ${state}`);
  }

  /** Waits until the server has made this visitor a member of the room that is shown. */
  async isMember() {
    await this.isNow('connected');
    await this.page.locator('[data-testid="member-list"]:not([data-stale]) [data-own]').waitFor({ state: 'attached' });
  }

  /** Waits until the page follows the posts, and has all that there are. */
  async hasPosts() {
    await this.isNow('connected', 'live-connection');
    await this.part('post-count').filter({ hasText: /^\d/ }).waitFor({ state: 'attached' });
  }

  /**
   * Leaves. Nothing may have gone wrong, except what is expected.
   *
   * @param {RegExp} [expected]
   */
  async leave(expected) {
    await this.context.close();
    const unexpected = this.troubles.filter((trouble) => !expected?.test(trouble));
    assert.deepEqual(unexpected, []);
  }

  /**
   * Takes a picture, if the environment variable `SCREENSHOTS` names a folder for it.
   *
   * @param {string} name
   */
  async picture(name) {
    const folder = process.env.SCREENSHOTS;
    if (folder) await this.page.screenshot({ path: path.join(folder, `${name}.png`) });
  }
}
