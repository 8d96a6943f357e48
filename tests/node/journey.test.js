// An operator's first days with the package: to install it behind nginx with TLS and below a path, to look into
// it, to change certificates and settings, and to restart it while others use it, as one node and as two.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { Visitor, launch } from '../support/browser.js';
import { GuidePage } from '../support/guide-client.js';
import { Load } from '../support/load.js';
import { Machine, shipped } from '../support/machine.js';
import { eventually, within } from '../support/patience.js';
import { Program, ROOT } from '../support/program.js';
import { Proxy, certify, freePort, isInstalled } from '../support/proxies.js';
import { startRedis } from '../support/redis.js';
import { Socket } from '../support/socket.js';

const BASE = '/team/chat';
const CONFIG = '/etc/nextrush/nextrush.toml';
/** The keys of an operator. */
const KEYS = Object.fromEntries(
  ['JWT_SECRET', 'NEXTRUSH_API_KEY', 'NEXTRUSH_ADMIN_KEY', 'NEXTRUSH_METRICS_KEY'].map((name) => [
    name,
    execFileSync('openssl', ['rand', '-base64', '32'], { encoding: 'utf8' }).trim(),
  ]),
);
const CHANNELS = ['orders-1', 'orders-2', 'orders-3'];
/** Clients remember their place; so long a history lets all of them go on there. */
const CHANNEL = `
[[channel]]
pattern = "orders-:id"
history = 1000
`;
/** Publications of each publisher before, between and after restarts. */
const SOME = 5;

const needed = { nginx: 'nginx', 'dpkg-deb': 'dpkg-deb', unshare: 'unshare', redis: process.env.NEXTRUSH_REDIS_SERVER || 'redis-server' };
const missing = process.env.NEXTRUSH_REQUIRE_PROXIES ? [] : Object.values(needed).filter((program) => !isInstalled(program));
const skip = missing.length > 0 && `not installed: ${missing.join(', ')}; ./test end-to-end installs it`;

let folder = '';
/** @type {{ archive: string, deb: string }} */
let packed;
before(() => {
  if (skip) return;
  folder = mkdtempSync(path.join(tmpdir(), 'nextrush-journey-'));
  packed = shipped(path.join(folder, 'shipped'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The outcome of a command that has to succeed. @param {Promise<{ code: number | null, stdout: string, stderr: string }>} command */
async function succeeds(command) {
  const { code, stdout, stderr } = await command;
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

/** The name of the certificate that is served at a port. @param {number} port @param {Buffer} ca */
async function fingerprint(port, ca) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  try {
    await within(new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)), 'TLS');
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

describe('one node', { skip }, () => {
  /** @type {Machine} */
  let machine;
  /** @type {import('../support/machine.js').Service} */
  let service;
  /** @type {Proxy} */
  let nginx;
  /** @type {Load} */
  let load;
  let port = 0;
  /** @type {string[]} */
  let tokens = [];
  /** Where clients find the server. */
  let at = '';

  after(async () => {
    load?.close();
    await nginx?.stop();
    await service?.end();
  });

  test('the package is unpacked, configured and checked', async () => {
    machine = new Machine(packed.deb, path.join(folder, 'one'));
    port = await freePort();
    // From a file with all settings, of which a few are changed.
    rmSync(machine.at(CONFIG));
    await succeeds(machine.nextrush(['config', 'init', CONFIG]));
    machine.edit(CONFIG, [
      ['#listen = ["127.0.0.1:3000"]', `listen = ["127.0.0.1:${port}"]`],
      ['#base-path = "/"', `base-path = "${BASE}"`],
      ['#trusted-proxy = ["<NETWORK>"]', 'trusted-proxy = ["127.0.0.1"]'],
      ['#store = "<DIR>"', 'store = "/var/lib/nextrush/store"'],
      ['#log = "info"', 'log = "info"'],
    ]);
    machine.write(CONFIG, machine.read(CONFIG) + CHANNEL);
    machine.edit(
      '/etc/nextrush/nextrush.env',
      Object.entries(KEYS).map(([name, key]) => [`#${name}=`, `${name}=${key}`]),
    );
    await succeeds(machine.nextrush(['config', 'check', CONFIG]));
    machine.edit(CONFIG, [['base-path =', 'base-paht =']]);
    const wrong = await machine.nextrush(['config', 'check', CONFIG]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stdout + wrong.stderr, /nextrush\.toml:\d+:1: there is no setting "base-paht": did you mean "base-path"\?/);
    machine.edit(CONFIG, [['base-paht =', 'base-path =']]);
  });

  test('it starts on the socket of its unit, behind nginx with TLS and below a path', async () => {
    const socket = '/usr/lib/systemd/system/nextrush.socket';
    machine.edit(socket, [['ListenStream=127.0.0.1:3000', `ListenStream=127.0.0.1:${port}`]]);
    service = await machine.service('/usr/lib/systemd/system/nextrush.service', { socket });
    await service.do('start');
    assert.equal((await succeeds(machine.nextrush(['health', '--ready'], KEYS))).trim(), 'ok');
    nginx = await Proxy.start('nginx', [port], BASE);
    assert.match((await nginx.get(`${BASE}/version`)).body, /^\{"name":"nextrush","version":"[\d.]+"\}$/);
    at = `localhost:${nginx.port}${BASE}`;
    for (const name of ['ada', 'bob']) {
      tokens.push((await succeeds(machine.nextrush(['token', '--id', name, '--ttl', '1h'], KEYS))).trim());
    }
  });

  test('the doctor finds nothing wrong, through the proxy too', async () => {
    machine.write('/etc/ssl/certs/ca-certificates.crt', nginx.ca.toString());
    const said = await succeeds(machine.nextrush(['doctor', '--url', `https://${at}`], KEYS));
    assert.match(said, /^ok +proxy: .*answered/m);
    assert.match(said, /^ok +proxy: a WebSocket opens/m);
    assert.match(said, /^ok +port: a server of this kind/m);
  });

  test('the page works in a browser', async () => {
    const browser = await launch();
    try {
      const origin = `https://localhost:${nginx.port}`;
      const visitor = await Visitor.arrive(browser, `${origin}${BASE}`, { ignoreHTTPSErrors: true });
      await visitor.page.goto(`${origin}${BASE}/`);
      await visitor.part('token-input').fill(tokens[0]);
      await visitor.part('token-button').click();
      await visitor.isMember();
      await visitor.part('message-input').fill('Hello from below');
      await visitor.part('send-button').click();
      await visitor.sees('message', 'Hello from below');
      // The page asks whether the server is in development mode, and it is not.
      await visitor.leave(/404/);
    } finally {
      await browser.close();
    }
  });

  test("the guide's client works, unchanged but for its address", async () => {
    const guide = await GuidePage.open(`wss://${at}`, { ca: nginx.ca });
    guide.client.token = tokens[0];
    await guide.logged('Disconnected from chat');
    await guide.timers.take('the wait before reconnecting').then(({ run }) => run());
    await guide.logged('Connected to chat');
    guide.say('Hello from the guide');
    await guide.logged('ada: Hello from the guide');
    guide.client.disconnect();
    await guide.logged('Disconnected from chat');
  });

  test('Prometheus gets figures with its key, from inside alone', async () => {
    const outside = await nginx.get(`${BASE}/metrics`, { Authorization: `Bearer ${KEYS.NEXTRUSH_METRICS_KEY}` });
    assert.equal(outside.status, 403);
    const address = `http://127.0.0.1:${port}/metrics`;
    assert.equal((await fetch(address)).status, 401);
    const scraped = await fetch(address, { headers: { Authorization: `Bearer ${KEYS.NEXTRUSH_METRICS_KEY}` } });
    assert.equal(scraped.status, 200);
    assert.match(await scraped.text(), /^nextrush_connections_accepted_total [1-9]/m);
  });

  test('nginx takes a new certificate, and no socket notices', async () => {
    load = new Load({ at, key: KEYS.NEXTRUSH_API_KEY, tls: { ca: nginx.ca }, channels: CHANNELS });
    await load.follow(tokens);
    const old = nginx.ca;
    const before = await fingerprint(nginx.port, old);
    nginx.renew();
    const now = () => fingerprint(nginx.port, nginx.ca).catch(() => before);
    await eventually(async () => (await now()) !== before, 'the new certificate');
    // nginx may have taken a last connection by the old one.
    load.trust({ ca: [old, nginx.ca] });
    load.start();
    await load.goesOn(SOME);
  });

  test('it reads its file again, and goes on by the old one where the new one is wrong', async () => {
    machine.edit(CONFIG, [['log = "info"', 'log = "info,nextrush::connections=debug"']]);
    await service.do('reload');
    await eventually(() => /the configuration was read again: log changed/.test(service.log), () => service.log);
    const ready = (/** @type {string} */ line) => line.startsWith('READY=1');
    await service.said(ready);

    machine.edit(CONFIG, [['pattern = "orders-', 'patern = 3\npattern = "orders-']]);
    await service.do('reload');
    await eventually(() => /as before, since the new one is wrong.*\n?.*did you mean "pattern"/.test(service.log), () => service.log);
    await service.said(ready);
    machine.edit(CONFIG, [['patern = 3\n', '']]);
    await load.goesOn(SOME);
  });

  test('its log says what became of sockets', async () => {
    const headers = { Host: at.split('/')[0], Origin: 'https://evil.example' };
    const refused = await Socket.refused(`wss://${at}/live?token=${tokens[0]}`, { ca: nginx.ca, headers });
    assert.equal(refused.status, 403);
    const line = (/** @type {string} */ words) => service.log.split('\n').find((line) => line.includes(words)) ?? '';
    await eventually(() => line("a page's origin was refused"), () => service.log);
    assert.match(line("a page's origin was refused"), /WARN.*evil\.example/);

    const socket = await Socket.connect(`wss://${at}/live?token=${tokens[0]}`, { ca: nginx.ca });
    await socket.close();
    await eventually(() => line('a connection closed'), () => service.log);
    assert.match(line('a connection closed'), /DEBUG.*endpoint.*\/live.*user.*ada.*address.*127\.0\.0\.1.*code.*1005/);
    assert.match(line(': listening '), /INFO.*address/);
    // Neither colours in a file, nor what libraries have to tell.
    assert.doesNotMatch(service.log, /\x1b|fjall|lsm_tree/);
  });

  test('it restarts while others publish and listen: no request fails, no message is lost', async (t) => {
    for (let round = 0; round < 2; round += 1) {
      const begun = performance.now();
      await service.do('restart');
      t.diagnostic(`a restart took ${Math.round(performance.now() - begun)} ms`);
      // Clients need not be back before the next one.
      await load.goesOn(SOME);
    }
    const count = load.count;
    const wrong = await load.end();
    t.diagnostic(`${count} publications, the slowest in ${Math.round(load.slowest)} ms`);
    assert.deepEqual(wrong, []);
    assert.doesNotMatch(service.log, /ERROR(?!.*the configuration is as before)|panicked/);
  });

  test('it ends in order, which a balancer can see, and leaves a store that is whole', async () => {
    load.close();
    const stopped = service.do('stop');
    const health = () => fetch(`http://127.0.0.1:${port}/healthz`);
    await eventually(async () => (await health()).status === 503, 'a server that says that it ends');
    await stopped;
    assert.equal(service.told.filter((line) => line === 'exited 0').length, 3, service.told.join(', '));
    await succeeds(machine.nextrush(['store', 'check'], KEYS));
    assert.match(await succeeds(machine.nextrush(['store', 'stats'], KEYS)), /orders-1/);
  });
});

describe('TLS in the server', { skip }, () => {
  test('a new certificate is served after SIGHUP, and no socket notices', async () => {
    const machine = new Machine(packed.deb, path.join(folder, 'tls'));
    const certificates = machine.at('/etc/nextrush');
    certify(certificates);
    machine.write(
      CONFIG,
      `listen = ["127.0.0.1:0"]
no-store = true
base-path = "${BASE}"
tls-cert = "/etc/nextrush/certificate.pem"
tls-key = "/etc/nextrush/key.pem"
${CHANNEL}`,
    );
    const inside = ['--map-root-user', `--root=${machine.root}`, '/usr/bin/nextrush'];
    const program = new Program('unshare', inside, KEYS);
    try {
      const [, digits] = await program.line(/^Open https:\/\/localhost:(\d+)\/team\/chat\/$/);
      const port = Number(digits);
      const ca = () => readFileSync(path.join(certificates, 'certificate.pem'));
      const token = (await succeeds(machine.nextrush(['token', '--id', 'ada'], KEYS))).trim();
      const old = ca();
      const socket = await Socket.connect(`wss://localhost:${port}${BASE}/live?token=${token}`, { ca: old });
      socket.send({ type: 'subscribe', channel: 'orders-1' });
      assert.equal((await socket.json()).type, 'subscribed');
      const before = await fingerprint(port, old);
      certify(certificates);
      process.kill(/** @type {number} */ (program.pid), 'SIGHUP');
      await eventually(async () => (await fingerprint(port, ca()).catch(() => before)) !== before, 'the new certificate');
      machine.write('/etc/ssl/certs/ca-certificates.crt', ca().toString());
      const publish = ['publish', '--url', `https://localhost:${port}${BASE}`, 'orders-1', '"still here"'];
      await succeeds(machine.nextrush(publish, KEYS));
      assert.equal((await socket.json()).data, 'still here');
      await socket.close();
    } finally {
      await program.stop();
    }
  });
});

describe('two nodes on a Redis', { skip }, () => {
  const UNIT = '/etc/systemd/system/nextrush@.service';
  const ENVIRONMENT = '/etc/nextrush.env';
  /** @type {import('../support/machine.js').Service[]} */
  const nodes = [];
  /** @type {Proxy} */
  let nginx;
  /** @type {Load} */
  let load;
  /** @type {number[]} */
  const ports = [];
  after(async () => {
    load?.close();
    await nginx?.stop();
    for (const node of nodes) await node.end();
  });

  test('they start behind one nginx', async () => {
    const machine = new Machine(packed.deb, path.join(folder, 'two'));
    machine.copy(machine.at('/usr/bin/nextrush'), '/usr/local/bin/nextrush');
    machine.copy(path.join(ROOT, 'examples/two-nodes/nextrush@.service'), UNIT);
    machine.write(CONFIG, `base-path = "${BASE}"\ntrusted-proxy = ["127.0.0.1"]\n${CHANNEL}`);
    const variables = { ...KEYS, NEXTRUSH_REDIS: await startRedis() };
    machine.write(ENVIRONMENT, Object.entries(variables).map(([name, value]) => `${name}=${value}\n`).join(''));
    for (let index = 0; index < 2; index += 1) ports.push(await freePort());
    for (const port of ports) {
      const node = await machine.service(UNIT, { instance: `${port}` });
      nodes.push(node);
      await node.do('start');
      assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
    }
    nginx = await Proxy.start('nginx', ports, BASE);
    const at = `localhost:${nginx.port}${BASE}`;
    const tokens = [];
    for (const name of ['ada', 'bob', 'cy']) {
      tokens.push((await succeeds(machine.nextrush(['token', '--id', name, '--ttl', '1h'], KEYS))).trim());
    }
    load = new Load({ at, key: KEYS.NEXTRUSH_API_KEY, tls: { ca: nginx.ca }, channels: CHANNELS });
    await load.follow(tokens);
    load.start();
    await load.goesOn(SOME);
  });

  test('one restarts after the other while others publish and listen: no request fails, no message is lost', async (t) => {
    for (const [index, node] of nodes.entries()) {
      const begun = performance.now();
      await node.do('restart');
      await eventually(async () => (await fetch(`http://127.0.0.1:${ports[index]}/readyz`)).status === 200, 'a node to be ready');
      t.diagnostic(`a restart took ${Math.round(performance.now() - begun)} ms`);
      // Clients need not be back before the next one.
      await load.goesOn(SOME);
    }
    const count = load.count;
    const wrong = await load.end();
    t.diagnostic(`${count} publications, the slowest in ${Math.round(load.slowest)} ms`);
    assert.deepEqual(wrong, []);
    for (const node of nodes) assert.doesNotMatch(node.log, /ERROR|panicked/);
  });
});
