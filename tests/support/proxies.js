import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually, within } from './patience.js';
import { Program, ROOT } from './program.js';

/**
 * nginx, Caddy and HAProxy with the configurations of `deploy/`, and nginx with that of two nodes, of which only
 * names, ports and files are others. Below a path they have the changes that `deploy/README.md` says.
 *
 * @module
 */

/** The name that the configurations have. */
export const NAME = 'example.com';
/** The path that `deploy/README.md` shows. */
const BASE = '/team/chat';
/** Debian has some of them where not everybody looks. */
const PATHS = `${process.env.PATH}:/usr/sbin:/sbin`;

/**
 * True if the program is installed.
 *
 * @param {string} name
 */
export function isInstalled(name) {
  return spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH: PATHS } }).status === 0;
}

/**
 * Copies a file of the repository to the place of a proxy, with other texts in place of some that it has once
 * each; what the file is then.
 *
 * @param {Place} place
 * @param {string} file
 * @param {[string, string][]} changes
 */
function changed({ directory, base }, file, changes) {
  const name = path.basename(file);
  copyFileSync(path.join(ROOT, file), path.join(directory, name));
  if (base) {
    const readme = readFileSync(path.join(ROOT, 'deploy/README.md'), 'utf8');
    const command = readme.split('\n').find((line) => line.startsWith('sed -i ') && line.endsWith(` ${name}`));
    if (!command?.includes(BASE)) throw new Error(`deploy/README.md does not say how ${name} is for a path`);
    execFileSync('sh', ['-c', command.replaceAll(BASE, base)], { cwd: directory });
  }
  let text = readFileSync(path.join(directory, name), 'utf8');
  for (const [from, to] of changes) {
    if (text.split(from).length !== 2) throw new Error(`${file} does not have "${from}" once`);
    text = text.replace(from, () => to);
  }
  return text;
}

/**
 * @typedef {{ directory: string, backends: number[], port: number, plain: number, base: string }} Place
 *   the ports of the servers, and of the proxy with and without TLS, and the path below which the servers are
 */

/** @type {Record<string, (place: Place) => [file: string, ...args: string[]]>} */
const STARTS = {
  nginx(place) {
    const { directory, backends, port, plain } = place;
    const tls = [`${directory}/certificate.pem`, `${directory}/key.pem`];
    const site =
      backends.length === 1
        ? changed(place, 'deploy/nginx.conf', [
            ['127.0.0.1:3000', `127.0.0.1:${backends[0]}`],
            ['listen 80;', `listen 127.0.0.1:${plain};`],
            ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
            ['/etc/ssl/nextrush/certificate.pem', tls[0]],
            ['/etc/ssl/nextrush/key.pem', tls[1]],
          ])
        : changed(place, 'examples/two-nodes/nginx.conf', [
            ['127.0.0.1:3001', `127.0.0.1:${backends[0]}`],
            ['127.0.0.1:3002', `127.0.0.1:${backends[1]}`],
            ['listen 80;', `listen 127.0.0.1:${port} ssl http2;\nssl_certificate ${tls[0]};\nssl_certificate_key ${tls[1]};`],
          ]);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n');
    // Its workers could not enter the folder as the user that it gives them.
    const user = process.getuid?.() === 0 ? 'user root;\n' : '';
    const main = `${user}daemon off;\npid ${directory}/pid;\nevents {}\nhttp {\naccess_log off;\n${paths}\n${site}\n}\n`;
    writeFileSync(`${directory}/main.conf`, main);
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', `${directory}/main.conf`];
  },
  caddy(place) {
    const { directory, backends, port } = place;
    // The site has a certificate of Let's Encrypt, which is not to be had here.
    const site = changed(place, 'deploy/Caddyfile', [
      [`${NAME} {`, `https://${NAME}:${port} {\n\tbind 127.0.0.1\n\ttls ${directory}/certificate.pem ${directory}/key.pem`],
      ['127.0.0.1:3000', `127.0.0.1:${backends[0]}`],
    ]);
    writeFileSync(`${directory}/Caddyfile`, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', `${directory}/Caddyfile`];
  },
  haproxy(place) {
    const { directory, backends, port } = place;
    const all = changed(place, 'deploy/haproxy.cfg', [
      ['127.0.0.1:3000', `127.0.0.1:${backends[0]}`],
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/nextrush.pem', `${directory}/both.pem`],
      ['maxconn 100000', 'maxconn 1000'],
    ]);
    writeFileSync(`${directory}/haproxy.cfg`, all);
    return ['haproxy', '-db', '-f', `${directory}/haproxy.cfg`];
  },
};

/** A proxy in front of a server, with TLS. */
export class Proxy {
  /** The certificate, which is its own authority. */
  ca;
  #name;
  #program;
  #directory;

  /** @param {string} name @param {Program} program @param {Place} place */
  constructor(name, program, { directory, port, plain }) {
    this.#name = name;
    this.#program = program;
    this.#directory = directory;
    this.port = port;
    /** Where nginx sends browsers to TLS. */
    this.plain = plain;
    this.ca = readFileSync(`${directory}/certificate.pem`);
  }

  /**
   * @param {string} name of the program
   * @param {number[]} backends the ports of the servers, several for nginx alone
   * @param {string} [base] the path below which the servers are, as `--base-path` has it
   */
  static async start(name, backends, base = '') {
    const directory = mkdtempSync(path.join(tmpdir(), `nextrush-${name}-`));
    certify(directory);
    const place = { directory, backends, port: await freePort(), plain: await freePort(), base };
    const [file, ...args] = STARTS[name](place);
    const program = new Program(file, args, { PATH: PATHS, HOME: directory, XDG_DATA_HOME: directory });
    const ended = program.exited.then(({ code }) => {
      throw new Error(`${name} ended with ${code}: ${program.stderr}`);
    });
    // It may end any time after this.
    ended.catch(() => {});
    await Promise.race([ended, eventually(() => listens(place.port), () => `${name}: ${program.stderr}`)]);
    return new Proxy(name, program, place);
  }

  /** What it has said, as of servers that it could not reach. */
  get log() {
    return this.#program.stderr;
  }

  /** Options of a client from an address of this machine that is not the proxy's. */
  get options() {
    return { ca: this.ca, servername: NAME, localAddress: '127.0.0.2' };
  }

  /** @param {string} path */
  ws(path) {
    return `wss://127.0.0.1:${this.port}${path}`;
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} [headers]
   */
  async get(path, headers) {
    const all = { Host: NAME, ...headers };
    const request = https.get({ host: '127.0.0.1', port: this.port, path, headers: all, agent: false, ...this.options });
    /** @type {[import('node:http').IncomingMessage]} */
    const [response] = await within(once(request, 'response'), `an answer to ${path}`);
    let body = '';
    for await (const part of response.setEncoding('utf8')) body += part;
    return { status: response.statusCode, body };
  }

  /** Makes another certificate, and has nginx take it. */
  renew() {
    certify(this.#directory);
    this.ca = readFileSync(`${this.#directory}/certificate.pem`);
    process.kill(/** @type {number} */ (this.#program.pid), 'SIGHUP');
  }

  async stop() {
    // nginx has workers, which it ends itself; Caddy would wait for its clients.
    await this.#program.stop(this.#name === 'nginx' ? 'SIGTERM' : 'SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Makes `certificate.pem` for {@link NAME} and `localhost`, which signs itself, `key.pem`, and `both.pem`.
 *
 * @param {string} directory
 */
export function certify(directory) {
  const names = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME},DNS:localhost`, '-addext', 'basicConstraints=critical,CA:FALSE'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  const args = ['req', '-x509', '-days', '1', ...names, ...key, '-out', 'certificate.pem'];
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const both = ['certificate.pem', 'key.pem'].map((file) => readFileSync(path.join(directory, file), 'utf8'));
  writeFileSync(path.join(directory, 'both.pem'), both.join(''));
}

/** A port that nobody listens on. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/** @param {number} port */
function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
