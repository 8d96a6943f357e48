import { readFile } from 'node:fs/promises';
import vm from 'node:vm';
import WebSocket from 'ws';
import { Inbox } from './patience.js';

/**
 * The guide's "Client-Side JavaScript Example", byte for byte. `node/guide-client.test.js` holds
 * its checksum.
 */
export const GUIDE_CLIENT = new URL('../fixtures/guide-client.js', import.meta.url);

/**
 * @typedef {{ ms: number, run: () => void }} Timer
 */

/**
 * The guide's client in a browser of paper: the package `ws` as its `WebSocket`, a document with
 * the guide's two elements, and timers that run when the test says so.
 */
export class GuidePage {
  /** What the client logs, as `[method, text]`. @type {Inbox<[string, string]>} */
  console = new Inbox();
  /** The timers that it starts. @type {Inbox<Timer>} */
  timers = new Inbox();
  sendButton = { onclick: () => {} };
  messageInput = { value: '' };
  /** The `chatClient` of the script. @type {any} */
  client;

  /**
   * Runs the script, which connects at once.
   *
   * @param {number | string} at the port of the server, in place of the script's 3000, or an address in place of
   *   the script's `ws://localhost:3000`
   * @param {WebSocket.ClientOptions} [options]
   */
  static async open(at, options) {
    const page = new GuidePage();
    const address = typeof at === 'string' ? at : `ws://localhost:${at}`;
    const elements = { sendButton: page.sendButton, messageInput: page.messageInput };
    const context = vm.createContext({
      WebSocket: class extends WebSocket {
        /** @param {string} url */
        constructor(url) {
          super(url.replace('ws://localhost:3000', address), options);
        }
      },
      document: { getElementById: (/** @type {keyof elements} */ id) => elements[id] },
      setTimeout: (/** @type {() => void} */ run, /** @type {number} */ ms) => page.timers.put({ run, ms }),
      console: {
        log: (/** @type {unknown[]} */ ...words) => page.console.put(['log', words.join(' ')]),
        error: (/** @type {unknown[]} */ ...words) => page.console.put(['error', words.map(text).join(' ')]),
      },
    });
    vm.runInContext(await readFile(GUIDE_CLIENT, 'utf8'), context, { filename: 'guide-client.js' });
    page.client = vm.runInContext('chatClient', context);
    return page;
  }

  /**
   * Waits until the client logs this; what it logged before is passed over.
   *
   * @param {string} line
   */
  async logged(line) {
    const [method] = await this.console.find(([, text]) => text === line, `the log line "${line}"`);
    return method;
  }

  /**
   * Types into the field and clicks.
   *
   * @param {string} text
   */
  say(text) {
    this.messageInput.value = text;
    this.sendButton.onclick();
  }
}

/**
 * An event of `ws` as text: printing it whole would be pages.
 *
 * @param {any} word
 */
function text(word) {
  return typeof word === 'string' ? word : `[${word?.type ?? typeof word}]`;
}
