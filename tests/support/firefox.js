import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { isKept } from './outbox.js';
import { PATIENCE_MS } from './patience.js';

/**
 * Firefox over WebDriver BiDi, which an unchanged Firefox speaks; Playwright drives only builds of
 * its own.
 *
 * @module
 */

/** Where Firefox is: what the environment variable `FIREFOX` names, or what is in the path. */
export function findFirefox() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const inPath = ['firefox', 'firefox-esr'].flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return [process.env.FIREFOX, ...inPath].find((file) => file && isProgram(file)) ?? null;
}

/** @param {string} executablePath */
export async function launchFirefox(executablePath) {
  const { default: puppeteer } = await import('puppeteer-core');
  return puppeteer.launch({ browser: 'firefox', executablePath, headless: true, timeout: PATIENCE_MS });
}

/** Somebody with a Firefox of their own, as far as storage goes. */
export class FirefoxVisitor {
  /** @type {import('puppeteer-core').BrowserContext} */
  context;
  /** @type {import('puppeteer-core').Page} */
  page;

  /** @param {import('puppeteer-core').Browser} browser */
  static async arrive(browser) {
    const visitor = new FirefoxVisitor();
    visitor.context = await browser.createBrowserContext();
    visitor.page = await visitor.context.newPage();
    visitor.page.setDefaultTimeout(PATIENCE_MS);
    return visitor;
  }

  /**
   * Signs in, at the address of a room, and is a member of it.
   *
   * @param {string} address
   * @param {string} name
   */
  async enter(address, name) {
    await this.page.goto(address);
    await this.page.locator('[data-testid=sign-in-name]').fill(name);
    await this.page.locator('[data-testid=sign-in-button]').click();
    await this.isMember();
  }

  /** @param {string} state @param {string} [part] */
  isNow(state, part = 'connection') {
    return this.page.waitForSelector(`[data-testid=${part}][data-state=${state}]`);
  }

  /** Waits until the server has made this visitor a member of the room: `connected` is before that. */
  async isMember() {
    await this.isNow('connected');
    await this.page.waitForSelector('[data-testid=member-list]:not([data-stale]) [data-own]');
  }

  /** Waits until the page follows the posts, and has all that there are. */
  async hasPosts() {
    await this.isNow('connected', 'live-connection');
    const isCounted = () => /^\d/.test(document.querySelector('[data-testid=post-count]')?.textContent ?? '');
    await this.page.waitForFunction(isCounted);
  }

  /** @param {string} text */
  async say(text) {
    await this.page.focus('[data-testid=message-input]');
    await this.page.keyboard.type(text);
    await this.page.keyboard.press('Enter');
  }

  /** @param {string} part */
  texts(part) {
    return this.page.$$eval(`[data-testid=${part}]`, (elements) => elements.map((element) => /** @type {HTMLElement} */ (element).innerText));
  }

  /**
   * Waits until a part shows a text.
   *
   * @param {string} part
   * @param {string} text
   */
  sees(part, text) {
    const isThere = (/** @type {string} */ part, /** @type {string} */ text) =>
      [...document.querySelectorAll(`[data-testid=${part}]`)].some((element) => element.textContent?.includes(text));
    return this.page.waitForFunction(isThere, {}, part, text);
  }

  /**
   * Waits until so many messages are in a state.
   *
   * @param {string} state
   * @param {number} count
   */
  has(state, count) {
    const isThere = (/** @type {string} */ state, /** @type {number} */ count) =>
      document.querySelectorAll(`[data-testid=message][data-state=${state}]`).length === count;
    return this.page.waitForFunction(isThere, {}, state, count);
  }

  /**
   * Waits until the outbox of a room keeps so many messages.
   *
   * @param {string} room
   * @param {number} count
   */
  keeps(room, count) {
    return this.page.waitForFunction(isKept, {}, { room, count });
  }
}

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
