import { randomUUID } from 'node:crypto';
import { Balancer } from './balancer.js';
import { SEED } from './chance.js';
import { NODES } from './nodes.js';
import { within } from './patience.js';
import { Program, built } from './program.js';
import { startRedis } from './redis.js';
import { SECRET, token } from './token.js';

// Nobody who balances asks for these.
const ENV = { NEXTRUSH_DRAIN_DELAY: '0', JWT_SECRET: SECRET, NEXTRUSH_OPEN_ENDPOINTS: '1' };
const LOOPBACK = '127.0.0.1';

/**
 * The server program, running: one, or {@link NODES} on one Redis behind a balancer, which is then
 * where clients connect to.
 */
export class Server {
  /** Each node's. @type {Program[]} */
  programs = [];
  port = 0;
  #args;
  #env;
  #through;
  /** @type {Promise<string> | null} */
  #redis = null;
  /** @type {Balancer | null} */
  #balancer = null;

  /**
   * @param {{ args?: string[], env?: Record<string, string>, through?: string[] }} options
   */
  constructor({ args = [], env = {}, through = [] }) {
    this.#args = args;
    this.#env = env;
    this.#through = through;
  }

  /**
   * A server that checks tokens with {@link SECRET}, on a free port, with the open endpoints.
   *
   * @param {{ args?: string[], env?: Record<string, string>, through?: string[] }} [options]
   *   `through` is a command that becomes the program
   */
  static async start({ args = [], env = {}, through } = {}) {
    const server = new Server({ args, env: { ...ENV, ...env }, through });
    await server.run();
    return server;
  }

  /**
   * A server in development mode, on a free port.
   *
   * @param {{ env?: Record<string, string> }} [options] with a `JWT_SECRET`, its tokens survive
   *   a restart
   */
  static async startDevelopment({ env } = {}) {
    const server = new Server({ args: ['--dev', '--no-store'], env });
    await server.run();
    return server;
  }

  /** Starts the program on a free port or, the second time, on the port of the first. */
  async run() {
    if (NODES === 1) {
      this.programs = [this.spawn()];
      [this.port] = await this.#open();
      return;
    }
    const args = [...apart(this.#args), '--redis', await (this.#redis ??= startRedis())];
    // What development mode makes up, all nodes must have.
    const env = { JWT_SECRET: randomUUID(), ...this.#env };
    const name = (/** @type {number} */ n) => ['--node', `node-${n + 1}`];
    this.programs = Array.from({ length: NODES }, (_, n) => this.#spawn(0, [...args, ...name(n)], env));
    const ports = await this.#open();
    this.#balancer = new Balancer(SEED);
    this.port = await this.#balancer.listen(this.port, ports);
  }

  /** The ports that the nodes say they listen on. */
  #open() {
    return Promise.all(
      this.programs.map(async (program) => {
        const [, port] = await program.line(/^Open http:\/\/localhost:(\d+)\//);
        return Number(port);
      }),
    );
  }

  /** The program as {@link run} starts a single one, without waiting for it. */
  spawn() {
    return this.#spawn(this.port, this.#args, this.#env);
  }

  /** @param {number} port @param {string[]} args @param {Record<string, string>} env */
  #spawn(port, args, env) {
    const [file, ...rest] = [...this.#through, built('nextrush'), '--listen', `${LOOPBACK}:${port}`, ...args];
    return new Program(file, rest, env);
  }

  /** The program of the first node. */
  get program() {
    return this.programs[0];
  }

  /**
   * Ends all nodes.
   *
   * @param {NodeJS.Signals} [signal]
   */
  async stop(signal) {
    this.#balancer?.refuse();
    const [exit] = await Promise.all(this.programs.map((program) => program.stop(signal)));
    this.#balancer?.cut();
    return exit;
  }

  async restart() {
    await this.stop();
    await this.run();
  }

  get host() {
    return `${LOOPBACK}:${this.port}`;
  }

  /** @param {string} path */
  http(path) {
    return `http://${this.host}${path}`;
  }

  /** @param {string} path */
  ws(path) {
    return `ws://${this.host}${path}`;
  }

  /** The page's address as the program tells it. */
  get page() {
    return `http://localhost:${this.port}`;
  }

  /**
   * The WebSocket address of an endpoint, with a token for a user.
   *
   * @param {string} path
   * @param {string} name
   */
  as(path, name) {
    return this.ws(`${path}?token=${token(name)}`);
  }

  /**
   * A request to the HTTP API.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ token?: string, body?: unknown, headers?: Record<string, string> }} [options]
   */
  async request(method, path, { token: bearer, body, headers = {} } = {}) {
    const asked = fetch(this.http(path), {
      method,
      headers: {
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    // Bounded, since a `fetch` whose connection breaks may stay pending for ever.
    const response = await within(asked, `an answer to ${method} ${path}`);
    const answer = await within(response.json(), `the body of ${method} ${path}`);
    return { status: response.status, headers: response.headers, body: answer };
  }
}

/**
 * The guide's "Testing WebSocket" as a program (`examples/testing.rs`).
 *
 * @param {number} [port] 0 for a free one
 */
export async function startTestingExample(port = 0) {
  const program = new Program(built('examples', 'testing'), [String(port)]);
  const [, actual] = await program.line(/^listening on port (\d+)$/);
  return { port: Number(actual), program };
}

/**
 * The arguments without those that say where one server keeps what is its own.
 *
 * @param {string[]} args
 */
function apart(args) {
  const store = args.indexOf('--store');
  const rest = store < 0 ? args : args.toSpliced(store, 2);
  return rest.filter((arg) => arg !== '--no-store');
}
