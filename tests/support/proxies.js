import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually, within } from './patience.js';
import { Program, ROOT } from './program.js';

/**
 * nginx, Caddy and HAProxy with the configurations of `deploy/`, of which only ports and files are others.
 *
 * @module
 */

/** The name that the configurations have. */
export const NAME = 'example.com';
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
 * A file of `deploy/` with other texts in place of some that it has once each.
 *
 * @param {string} file
 * @param {[string, string][]} changes
 */
function changed(file, changes) {
  let text = readFileSync(path.join(ROOT, 'deploy', file), 'utf8');
  for (const [from, to] of changes) {
    if (text.split(from).length !== 2) throw new Error(`${file} does not have "${from}" once`);
    text = text.replace(from, () => to);
  }
  return text;
}

/**
 * @typedef {{ directory: string, backend: number, port: number, plain: number }} Place
 *   the ports of the server, and of the proxy with and without TLS
 */

/** @type {Record<string, (place: Place) => [file: string, ...args: string[]]>} */
const STARTS = {
  nginx({ directory, backend, port, plain }) {
    const site = changed('nginx.conf', [
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
      ['listen 80;', `listen 127.0.0.1:${plain};`],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['/etc/ssl/nextrush/certificate.pem', `${directory}/certificate.pem`],
      ['/etc/ssl/nextrush/key.pem', `${directory}/key.pem`],
    ]);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const paths = temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join('\n');
    const main = `daemon off;\nmaster_process off;\npid ${directory}/pid;\nevents {}\nhttp {\naccess_log off;\n${paths}\n${site}\n}\n`;
    writeFileSync(`${directory}/nginx.conf`, main);
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', `${directory}/nginx.conf`];
  },
  caddy({ directory, backend, port }) {
    // The site has a certificate of Let's Encrypt, which is not to be had here.
    const site = changed('Caddyfile', [
      [`${NAME} {`, `https://${NAME}:${port} {\n\tbind 127.0.0.1\n\ttls ${directory}/certificate.pem ${directory}/key.pem`],
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
    ]);
    writeFileSync(`${directory}/Caddyfile`, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', `${directory}/Caddyfile`];
  },
  haproxy({ directory, backend, port }) {
    const all = changed('haproxy.cfg', [
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
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
  #program;
  #directory;

  /** @param {Program} program @param {Place} place */
  constructor(program, { directory, port, plain }) {
    this.#program = program;
    this.#directory = directory;
    this.port = port;
    /** Where nginx sends browsers to TLS. */
    this.plain = plain;
    this.ca = readFileSync(`${directory}/certificate.pem`);
  }

  /**
   * @param {string} name of the program
   * @param {number} backend the server's port
   */
  static async start(name, backend) {
    const directory = mkdtempSync(path.join(tmpdir(), `nextrush-${name}-`));
    certify(directory);
    const place = { directory, backend, port: await freePort(), plain: await freePort() };
    const [file, ...args] = STARTS[name](place);
    const program = new Program(file, args, { PATH: PATHS, HOME: directory, XDG_DATA_HOME: directory });
    const ended = program.exited.then(({ code }) => {
      throw new Error(`${name} ended with ${code}: ${program.stderr}`);
    });
    // It may end any time after this.
    ended.catch(() => {});
    await Promise.race([ended, eventually(() => listens(place.port), () => `${name}: ${program.stderr}`)]);
    return new Proxy(program, place);
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

  async stop() {
    await this.#program.stop('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Makes `certificate.pem` for {@link NAME}, which signs itself, `key.pem`, and `both.pem`.
 *
 * @param {string} directory
 */
export function certify(directory) {
  const names = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`, '-addext', 'basicConstraints=critical,CA:FALSE'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
  const args = ['req', '-x509', '-days', '1', ...names, ...key, '-out', 'certificate.pem'];
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const both = ['certificate.pem', 'key.pem'].map((file) => readFileSync(path.join(directory, file), 'utf8'));
  writeFileSync(path.join(directory, 'both.pem'), both.join(''));
}

async function freePort() {
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
