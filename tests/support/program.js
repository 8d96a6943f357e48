import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from './patience.js';

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * The path of a built program.
 *
 * @param {...string} segments below Cargo's debug directory
 */
export function built(...segments) {
  const target = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target');
  const file = path.join(target, 'debug', ...segments);
  if (!existsSync(file)) throw new Error(`${file} is not built: run ./test end-to-end`);
  return file;
}

/**
 * @typedef {object} Exit
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 */

/** A program that runs, with everything that it says. */
export class Program {
  stdout = '';
  stderr = '';
  /** @type {Promise<Exit>} */
  exited;
  #child;
  /** @type {((line: string) => void)[]} */
  #readers = [];

  /**
   * @param {string} file
   * @param {string[]} [args]
   * @param {Record<string, string>} [env] the whole environment besides `PATH`, so that what
   *   the caller happens to have set does not matter
   */
  constructor(file, args = [], env = {}) {
    const child = spawn(file, args, {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.stdout += `${line}\n`;
      for (const read of this.#readers) read(line);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /**
   * Waits for a line on standard output.
   *
   * @param {RegExp} pattern
   * @returns {Promise<RegExpMatchArray>}
   */
  async line(pattern) {
    /** @type {Promise<RegExpMatchArray>} */
    const found = new Promise((resolve) => {
      this.#readers.push((line) => {
        const match = line.match(pattern);
        if (match) resolve(match);
      });
    });
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`the program ended (${code ?? signal}) without saying ${pattern}: ${this.stderr}`);
    });
    return within(Promise.race([found, ended]), () => `${pattern} on standard output: ${this.stdout}${this.stderr}`);
  }

  /**
   * @param {NodeJS.Signals} [signal] by default the one that ends a program in order, without the delay
   *   for balancers
   * @returns {Promise<Exit>}
   */
  async stop(signal = 'SIGINT') {
    this.#child.kill(signal);
    return within(this.exited, `the program to end after ${signal}`);
  }
}
