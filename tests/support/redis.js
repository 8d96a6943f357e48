import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, mkdtempSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { within } from './patience.js';

const SERVER = process.env.NEXTRUSH_REDIS_SERVER || 'redis-server';
/** Between two looks whether it answers, in milliseconds: it tells nobody that it has started. */
const LOOK_MS = 10;

/**
 * Starts a Redis that keeps nothing on a disk. It ends with this process, which need not wait
 * for it.
 *
 * @returns {Promise<string>} its address
 */
export async function startRedis() {
  const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-redis-'));
  // Between the look for a free port and its use another may take it.
  for (;;) {
    const port = await freePort();
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
    const child = spawn(SERVER, args, { stdio: 'ignore' });
    process.on('exit', () => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    });
    if (await within(answers(child, port), 'a Redis to answer')) {
      child.unref();
      return `redis://127.0.0.1:${port}`;
    }
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Waits until the program answers, or has ended.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} port
 */
async function answers(child, port) {
  let error;
  child.once('error', (cause) => (error = cause));
  while (child.exitCode === null) {
    if (error) throw error;
    // It is this one that answers, and not another that has taken the port.
    if ((await info(port)).includes(`process_id:${child.pid}\r`)) return true;
    await pause(LOOK_MS);
  }
  return false;
}

/** What a Redis tells of itself; empty if none answers. @param {number} port */
function info(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('INFO server\r\n'));
    let told = '';
    socket.on('error', () => {});
    socket.on('close', () => resolve(told));
    socket.on('data', (data) => {
      told += data;
      if (/process_id:\d+\r/.test(told)) socket.destroy();
    });
  });
}
