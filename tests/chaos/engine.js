import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The programs that this machine has, by name. @returns {Record<string, string>} */
export function programs() {
  const found = {};
  for (const name of ['redis', 'valkey']) {
    const given = process.env[`NEXTRUSH_${name.toUpperCase()}_SERVER`];
    const paths = (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, `${name}-server`));
    const file = [given, ...paths].find((file) => file && existsSync(file));
    if (file) found[name] = file;
  }
  return found;
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A Redis or Valkey that runs, in a directory of its own. */
export class Engine {
  #file;
  #args;
  #directory;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  port;

  /** @param {string} file @param {number} port @param {string} directory @param {string[]} args */
  constructor(file, port, directory, args) {
    this.#file = file;
    this.port = port;
    this.#directory = directory;
    this.#args = args;
  }

  /** One that acknowledges nothing before it is on the disk. @param {string} file @param {string[]} [args] */
  static async start(file, args = []) {
    const directory = await mkdtemp(path.join(tmpdir(), 'nextrush-chaos-'));
    const engine = new Engine(file, await freePort(), directory, args);
    await engine.run();
    return engine;
  }

  /** @param {string[]} [more] further settings, for this time */
  async run(more = []) {
    const args = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--save', '', '--dir', this.#directory, '--logfile', 'log'];
    const child = spawn(this.#file, [...args, '--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0', ...this.#args, ...more], { stdio: 'ignore' });
    this.#child = child;
    running.add(child);
    child.once('close', () => running.delete(child));
    for (let tries = 0; tries < 600; tries += 1) {
      if ((await this.call('PING').catch(() => '')) === 'PONG') return;
      await pause(50);
    }
    throw new Error(`${this.#file} does not start`);
  }

  /** @param {string[]} words */
  async call(...words) {
    const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', `${this.port}`, ...words], { timeout: 10_000 });
    return stdout.trim();
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.#child?.kill(signal);
  }

  async kill() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
  }

  /** Throws away what is on the disk. */
  async forget() {
    for (const name of ['appendonlydir', 'dump.rdb']) await rm(path.join(this.#directory, name), { recursive: true, force: true });
  }

  async end() {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A master and a replica, and a Sentinel that watches them. */
export class Watched {
  master;
  replica;
  #file;
  #directory = '';
  #port = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #sentinel;

  /** @param {string} file @param {Engine} master @param {Engine} replica */
  constructor(file, master, replica) {
    this.#file = file;
    this.master = master;
    this.replica = replica;
  }

  /** @param {string} file @param {string[]} [args] */
  static async start(file, args = []) {
    const master = await Engine.start(file, args);
    const replica = await Engine.start(file, args);
    const watched = new Watched(file, master, replica);
    await watched.#follow();
    await watched.#watch();
    return watched;
  }

  get url() {
    return `redis+sentinel://127.0.0.1:${this.#port}/main`;
  }

  async #follow() {
    await this.replica.call('REPLICAOF', '127.0.0.1', `${this.master.port}`);
    await eventually('the replica follows', async () => /master_link_status:up/.test(await this.replica.call('INFO', 'replication')));
  }

  async #watch() {
    this.#directory = await mkdtemp(path.join(tmpdir(), 'nextrush-chaos-'));
    this.#port = await freePort();
    const settings = [
      `port ${this.#port}`,
      `sentinel monitor main 127.0.0.1 ${this.master.port} 1`,
      // Longer than a busy machine lets a master wait.
      'sentinel down-after-milliseconds main 3000',
      'sentinel failover-timeout main 5000',
    ];
    const file = path.join(this.#directory, 'sentinel.conf');
    await writeFile(file, settings.join('\n'));
    const child = spawn(this.#file, [file, '--sentinel'], { stdio: 'ignore' });
    this.#sentinel = child;
    running.add(child);
    child.once('close', () => running.delete(child));
    await eventually('the Sentinel knows the replica', async () => /slaves=1/.test(await this.#ask('INFO', 'sentinel')));
  }

  /** @param {string[]} words */
  async #ask(...words) {
    const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', `${this.#port}`, ...words], { timeout: 10_000 });
    return stdout;
  }

  /**
   * The master dies, and the replica takes its place.
   *
   * @param {() => Promise<unknown>} [meanwhile] the replica hears nothing for so long before, and
   *   what is acknowledged is lost
   */
  async failOver(meanwhile) {
    await this.hasMoved();
    // Nobody listens there.
    if (meanwhile) await this.replica.call('REPLICAOF', '127.0.0.1', '1');
    await meanwhile?.();
    await this.master.kill();
    await eventually('the Sentinel names the replica', () => this.hasMoved());
    await this.replica.forget();
    await this.replica.run(['--replicaof', '127.0.0.1', `${this.master.port}`]);
    await this.#follow();
  }

  /**
   * Looks which of the two is the master. True if that has changed: the Sentinel also fails over by
   * itself when it does not hear of a master for too long.
   */
  async hasMoved() {
    const address = await this.#ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main');
    if (!address.split('\n').includes(`${this.replica.port}`)) return false;
    [this.master, this.replica] = [this.replica, this.master];
    return true;
  }

  async end() {
    this.#sentinel?.kill('SIGKILL');
    await this.master.end();
    await this.replica.end();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Waits until something is so, for at most a minute. @param {string} what @param {() => Promise<boolean>} isSo */
async function eventually(what, isSo) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await isSo().catch(() => false)) return;
    await pause(100);
  }
  throw new Error(`in vain: ${what}`);
}
