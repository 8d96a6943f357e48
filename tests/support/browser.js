import assert from 'node:assert/strict';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { PATIENCE_MS } from './patience.js';

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
   * Waits until a connection is in a state.
   *
   * @param {string} state
   * @param {string} [testId] `live-connection` for that of the posts
   */
  async isNow(state, testId = 'connection') {
    await this.page.locator(`[data-testid="${testId}"][data-state="${state}"]`).waitFor();
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
