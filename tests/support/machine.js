import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Inbox, within } from './patience.js';
import { Program, ROOT, built } from './program.js';

/** A service manager that reads units; see there. */
const MANAGER = fileURLToPath(new URL('manager.py', import.meta.url));

/**
 * What `tools/dist` makes: the files in the folder of `NEXTRUSH_SHIPPED`, or else made of the program that the
 * tests use.
 *
 * @param {string} folder where they are made
 */
export function shipped(folder) {
  const given = process.env.NEXTRUSH_SHIPPED;
  if (!given) execFileSync(path.join(ROOT, 'tools/dist'), ['--program', built('nextrush'), '--to', folder]);
  const there = given ? path.resolve(given) : folder;
  const find = (/** @type {string} */ end) => {
    const name = readdirSync(there).find((name) => name.endsWith(end));
    if (!name) throw new Error(`there is no ${end} in ${there}`);
    return path.join(there, name);
  };
  return { archive: find('.tar.gz'), deb: find('.deb') };
}

/** A machine on paper: a folder with the files of the package and what the program needs of the system. */
export class Machine {
  root;

  /**
   * Unpacks the package into an empty folder.
   *
   * @param {string} deb
   * @param {string} root
   */
  constructor(deb, root) {
    this.root = root;
    execFileSync('dpkg-deb', ['--extract', deb, root]);
    const libraries = execFileSync('ldd', [this.at('/usr/bin/nextrush')], { encoding: 'utf8' });
    for (const [library] of libraries.matchAll(/\/\S+\.so\.\d+/g)) this.copy(library, library);
    // A debug build reads its page where the sources are.
    if (!process.env.NEXTRUSH_SHIPPED) {
      for (const folder of ['crates/nextrush-server/page', 'crates/nextrush-server/client', 'clients/javascript/src']) {
        cpSync(path.join(ROOT, folder), this.at(path.join(ROOT, folder)), { recursive: true, verbatimSymlinks: true });
      }
    }
    // The directory that systemd makes for the unit, and what every system has.
    for (const directory of ['/var/lib/nextrush', '/tmp']) mkdirSync(this.at(directory), { recursive: true });
    this.write('/etc/hosts', '127.0.0.1 localhost example.com\n');
  }

  /** Where a file of the machine is. @param {string} file */
  at(file) {
    return path.join(this.root, file);
  }

  /** @param {string} file */
  read(file) {
    return readFileSync(this.at(file), 'utf8');
  }

  /** @param {string} file @param {string} text */
  write(file, text) {
    mkdirSync(path.dirname(this.at(file)), { recursive: true });
    writeFileSync(this.at(file), text);
  }

  /** Copies a file of the test's own system to the machine. @param {string} from @param {string} to */
  copy(from, to) {
    mkdirSync(path.dirname(this.at(to)), { recursive: true });
    copyFileSync(from, this.at(to));
  }

  /**
   * Edits a file, as an operator does who replaces some texts that it has once each.
   *
   * @param {string} file
   * @param {[string, string][]} changes
   */
  edit(file, changes) {
    let text = this.read(file);
    for (const [from, to] of changes) {
      if (text.split(from).length !== 2) throw new Error(`${file} does not have "${from}" once`);
      text = text.replace(from, () => to);
    }
    this.write(file, text);
  }

  /**
   * Runs a command of the program on the machine.
   *
   * @param {string[]} args
   * @param {Record<string, string>} [env]
   */
  async nextrush(args, env) {
    const program = new Program('unshare', ['--map-root-user', `--root=${this.root}`, '/usr/bin/nextrush', ...args], env);
    const { code } = await within(program.exited, `nextrush ${args.join(' ')}`);
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  /**
   * A service of the machine, which has not started. Its socket listens already, if it has one.
   *
   * @param {string} unit
   * @param {{ socket?: string, instance?: string }} [options]
   */
  async service(unit, { socket, instance } = {}) {
    const service = new Service([this.root, this.at(unit), socket ? this.at(socket) : '-', ...(instance ? [instance] : [])]);
    await service.said((line) => line === 'listening');
    return service;
  }
}

/** A service under `manager.py`. */
export class Service {
  /** Everything that it has written. */
  log = '';
  /** The lines of its manager, in order. @type {string[]} */
  told = [];
  /** The lines that nobody has waited for. @type {Inbox<string>} */
  #lines = new Inbox();
  #manager;
  #exited;

  /** @param {string[]} args */
  constructor(args) {
    this.#manager = spawn('python3', ['-B', MANAGER, ...args], { stdio: 'pipe' });
    this.#manager.stderr.setEncoding('utf8').on('data', (text) => (this.log += text));
    this.#exited = new Promise((resolve) => this.#manager.once('close', resolve));
    createInterface({ input: this.#manager.stdout }).on('line', (line) => {
      this.told.push(line);
      this.#lines.put(line);
    });
  }

  /**
   * Waits until the manager says a line; those before it are passed over.
   *
   * @param {(line: string) => boolean} isIt
   */
  async said(isIt) {
    const ended = this.#exited.then(() => {
      throw new Error(`the service manager has ended: ${this.log}`);
    });
    ended.catch(() => {});
    try {
      return await Promise.race([this.#lines.find(isIt, 'the service manager'), ended]);
    } catch (error) {
      throw new Error(`${/** @type {Error} */ (error).message}: ${this.told.join(', ')}\n${this.log}`);
    }
  }

  /** @param {'start' | 'reload' | 'restart' | 'stop'} command */
  async do(command) {
    this.#manager.stdin.write(`${command}\n`);
    const line = await this.said((line) => line === `done ${command}` || line === `failed ${command}`);
    if (line.startsWith('failed')) throw new Error(`${line}: ${this.log}`);
  }

  /** Kills the service and ends its manager. */
  async end() {
    this.#manager.stdin.end();
    await within(this.#exited, 'the end of a service manager');
  }
}
