// What ships beside the program, as an operator would copy it: configurations of proxies, which are started
// with TLS, and files for systemd.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { eventually, within } from '../support/patience.js';
import { Program, ROOT, built } from '../support/program.js';
import { NAME, Proxy, certify, isInstalled } from '../support/proxies.js';
import { Server } from '../support/server.js';
import { Socket } from '../support/socket.js';
import { SECRET, token } from '../support/token.js';

const ADMIN_KEY = 'a key of operators, thirty-two bytes and more';
/** The worst mark that a unit may get from `systemd-analyze security`, in tenths: 0 is best, 100 is worst. */
const EXPOSURE = 15;

/**
 * Says why a test is skipped if a program is not there. `./test end-to-end` installs all of them.
 *
 * @param {string} program
 */
function skipWithout(program) {
  if (process.env.NEXTRUSH_REQUIRE_PROXIES || isInstalled(program)) return false;
  return `${program} is not installed; ./test end-to-end installs it`;
}

for (const { name, waits, base } of Object.entries({
  nginx: { waits: false },
  caddy: { waits: true },
  haproxy: { waits: true },
}).flatMap(([name, { waits }]) => ['', '/team/chat'].map((base) => ({ name, waits, base })))) {
  const where = base && ', below a path';
  test(`${name} as configured in deploy/ passes everything on, with TLS, also across a restart${where}`, { skip: skipWithout(name) }, async () => {
    const store = mkdtempSync(path.join(tmpdir(), 'nextrush-shipping-'));
    const args = ['--store', store, '--trusted-proxy', '127.0.0.1', '--admin-key', ADMIN_KEY];
    const server = await Server.start({ args: base ? [...args, '--base-path', base] : args });
    const proxy = await Proxy.start(name, [server.port], base);
    try {
      for (const page of ['/', '/page/main.js', '/client/index.js']) {
        assert.equal((await proxy.get(base + page)).status, 200, page);
      }
      for (const inside of ['/healthz', '/readyz', '/metrics']) {
        assert.equal((await proxy.get(base + inside)).status, 403, inside);
      }
      if (base) {
        // Beside it there is room for other servers.
        assert.doesNotMatch((await proxy.get('/page/main.js')).body, /import/);
        assert.match(`${(await proxy.get(base)).status}`, /^30[18]$/);
      }
      if (name === 'nginx') {
        const plain = await fetch(`http://127.0.0.1:${proxy.plain}/a?b`, { redirect: 'manual' });
        assert.equal(plain.status, 308);
        assert.equal(plain.headers.get('location'), 'https://127.0.0.1/a?b');
      }

      // A browser's socket, whose client says what it is not.
      const lies = { 'X-Forwarded-For': '192.0.2.9', Forwarded: 'for=192.0.2.8;proto=http;host=evil.example' };
      const headers = { Host: NAME, Origin: `https://${NAME}`, ...lies };
      /** @param {string} since */
      const join = (since) =>
        Socket.connect(proxy.ws(`${base}/chat/lobby?token=${token('ada')}${since}`), { ...proxy.options, headers });
      const ada = await join('');
      const { epoch } = await told(ada, 'room-history');
      ada.send({ type: 'chat', text: 'hello' });
      assert.equal((await told(ada, 'chat-message')).text, 'hello');
      assert.deepEqual(await addresses(server), ['127.0.0.2']);
      const foreign = { ...headers, Origin: 'https://evil.example' };
      const refused = await Socket.refused(proxy.ws(`${base}/chat/lobby?token=${token('bob')}`), { ...proxy.options, headers: foreign });
      assert.equal(refused.status, 403);

      await server.stop();
      await told(ada, 'reconnect');
      assert.equal((await ada.closed()).code, 1012);
      const meanwhile = proxy.get(`${base}/api/posts`, { Authorization: `Bearer ${token('ada')}` });
      if (!waits) assert.equal((await meanwhile).status, 502);
      await server.run();
      if (waits) assert.equal((await meanwhile).status, 200);
      await eventually(async () => (await proxy.get(`${base}/`)).status === 200, 'the server to be back');
      const again = await join(`&epoch=${epoch}&offset=0`);
      const history = await told(again, 'room-history');
      assert.equal(history.recovered, true);
      assert.deepEqual(history.messages.map((/** @type {{ text: string }} */ it) => it.text), ['hello']);
    } finally {
      await proxy.stop();
      await server.stop();
      rmSync(store, { recursive: true, force: true });
    }
  });
}

/**
 * The next message of a type.
 *
 * @param {Socket} socket
 * @param {string} type
 */
async function told(socket, type) {
  for (;;) {
    const message = await socket.json();
    if (message.type === type) return message;
  }
}

/** The addresses of the clients as operators see them. @param {Server} server */
async function addresses(server) {
  const minted = await fetch(server.http('/api/inspect/token'), {
    method: 'POST',
    headers: { Authorization: `Bearer ${ADMIN_KEY}` },
  });
  const ticket = (await minted.json()).token;
  const listed = await fetch(server.http('/api/inspect/connections'), { headers: { Authorization: `Bearer ${ticket}` } });
  const { connections } = await listed.json();
  return connections.map((/** @type {{ address: string }} */ it) => it.address.replace(/:\d+$/, ''));
}

for (const file of ['deploy/nextrush.service', 'examples/two-nodes/nextrush@.service']) {
  test(`systemd takes ${file} and finds little that it exposes`, { skip: skipWithout('systemd-analyze') }, () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-unit-'));
    try {
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      const unit = path.join(directory, path.basename(file).replace('@', '@3001'));
      // systemd looks whether the program is there.
      const here = text.replace(/^ExecStart=\S+/m, `ExecStart=${built('nextrush')}`);
      assert.notEqual(here, text);
      writeFileSync(unit, here);
      const socket = path.join(ROOT, 'deploy/nextrush.socket');
      if (path.basename(unit) === 'nextrush.service') copyFileSync(socket, path.join(directory, 'nextrush.socket'));
      const units = readdirSync(directory).map((name) => path.join(directory, name));
      const verified = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8' });
      assert.deepEqual([verified.stderr.trim(), verified.status], ['', 0]);
      const marks = spawnSync('systemd-analyze', ['security', '--offline=true', `--threshold=${EXPOSURE}`, unit], { encoding: 'utf8' });
      assert.equal(marks.status, 0, marks.stdout + marks.stderr);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

test('the server makes no system call that its unit forbids', { skip: skipWithout('strace') }, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-calls-'));
  const trace = path.join(directory, 'trace');
  try {
    const store = ['--store', path.join(directory, 'store')];
    const server = await Server.start({ args: store, through: ['strace', '-D', '-f', '-q', '-e', 'signal=none', '-o', trace] });
    const socket = await Socket.connect(server.ws(`/chat/lobby?token=${token('ada')}`));
    await told(socket, 'room-history');
    socket.send({ type: 'chat', text: 'hello' });
    await told(socket, 'chat-message');
    assert.equal((await fetch(server.http('/'))).status, 200);
    const { pid } = server.program;
    await server.stop();
    await eventually(() => readFileSync(trace, 'utf8').includes(`${pid} +++ exited with 0 +++`), 'the whole trace');
    const calls = readFileSync(trace, 'utf8').match(/(?<=^\d+\s+)\w+(?=\()/gm) ?? [];
    const made = new Set(calls);
    assert.ok(made.has('epoll_wait') && made.has('fdatasync'), [...made].join(' '));
    const unit = readFileSync(path.join(ROOT, 'deploy/nextrush.service'), 'utf8');
    const [, allowed, refused] = unit.match(/^SystemCallFilter=(@\S+)\nSystemCallFilter=~(.+)$/m) ?? [];
    const without = systemCalls(refused.split(' '));
    const permitted = systemCalls([allowed]);
    const forbidden = [...made].filter((call) => !permitted.has(call) || without.has(call));
    assert.deepEqual(forbidden, []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/**
 * The system calls of some of systemd's groups.
 *
 * @param {string[]} groups
 */
function systemCalls(groups) {
  /** @type {Set<string>} */
  const calls = new Set();
  for (const group of groups) {
    const listed = execFileSync('systemd-analyze', ['syscall-filter', group], { encoding: 'utf8' });
    for (const name of listed.replace(/#.*/g, '').split(/\s+/)) {
      if (name.startsWith('@') && name !== group) systemCalls([name]).forEach((call) => calls.add(call));
      else calls.add(name);
    }
  }
  return calls;
}

test('the package for Debian has all that the server needs, and the sums are right', { skip: skipWithout('dpkg-deb') }, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-package-'));
  const [shipped, root] = [path.join(directory, 'shipped'), path.join(directory, 'root')];
  const run = (/** @type {string} */ file, /** @type {string[]} */ ...args) =>
    execFileSync(file, args, { encoding: 'utf8', cwd: existsSync(shipped) ? shipped : directory });
  try {
    run(path.join(ROOT, 'tools/dist'), '--program', built('nextrush'), '--to', shipped);
    const sums = run('sha256sum', '--check', 'SHA256SUMS');
    assert.match(sums, /^nextrush-[\d.]+-\w+-linux\.tar\.gz: OK\nnextrush_[\d.]+_\w+\.deb: OK\n$/);
    const [archive, deb] = sums.split('\n').map((line) => line.replace(': OK', ''));
    const listed = run('tar', '--list', '--file', archive);
    const packed = ['man/nextrush.1', 'man/nextrush-publish.1', 'completions/_nextrush'];
    for (const file of ['nextrush', 'LICENSE', 'deploy/nextrush.service', 'deploy/nginx.conf', ...packed]) {
      assert.match(listed, new RegExp(`^[^/]+/${file}$`, 'm'));
    }

    assert.match(run('dpkg-deb', '--field', deb, 'Depends'), /^libgcc-s1, libc6 \(>= 2\.\d+\)$/m);
    assert.equal(run('dpkg-deb', '--info', deb, 'conffiles'), '/etc/nextrush/nextrush.env\n/etc/nextrush/nextrush.toml\n');
    assert.match(run('dpkg-deb', '--contents', deb), / \.\/usr\/lib\/systemd\/system\/nextrush\.socket$/m);
    assert.match(run('dpkg-deb', '--contents', deb), /^-rw------- root\/root .* \.\/etc\/nextrush\/nextrush\.env$/m);
    run('dpkg-deb', '--extract', deb, root);

    const share = path.join(root, 'usr/share');
    for (const page of ['nextrush', 'nextrush-publish', 'nextrush-store-backup']) {
      const text = gunzipSync(readFileSync(path.join(share, `man/man1/${page}.1.gz`)));
      assert.match(text.toString(), new RegExp(`^\\.TH ${page.toUpperCase()} 1`, 'm'));
    }
    for (const [shell, file] of [
      ['bash', 'bash-completion/completions/nextrush'],
      ['zsh', 'zsh/vendor-completions/_nextrush'],
      ['fish', 'fish/vendor_completions.d/nextrush.fish'],
    ]) {
      assert.equal(readFileSync(path.join(share, file), 'utf8'), run(built('nextrush'), 'completions', shell));
    }
    const completed = run('bash', '-c', `source ${share}/bash-completion/completions/nextrush; complete -p nextrush`);
    assert.match(completed, / -F _nextrush nextrush$/m);

    // The package, what it depends on, and the directory that systemd makes: nothing else is there.
    for (const [library] of run('ldd', built('nextrush')).matchAll(/\/\S+\.so\.\d+/g)) {
      mkdirSync(path.join(root, path.dirname(library)), { recursive: true });
      copyFileSync(library, path.join(root, library));
    }
    mkdirSync(path.join(root, 'var/lib/nextrush'), { recursive: true });
    const unit = readFileSync(path.join(root, 'usr/lib/systemd/system/nextrush.service'), 'utf8');
    const [start] = unit.match(/(?<=^ExecStart=).+/m) ?? [];
    const inside = ['--map-root-user', `--root=${root}`, ...start.split(' ')];
    const program = new Program('unshare', [...inside, '--listen', '127.0.0.1:0'], { JWT_SECRET: SECRET });
    const [, port] = await program.line(/^Open http:\/\/localhost:(\d+)\/$/);
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
    assert.equal((await program.stop()).code, 0);
    assert.ok(existsSync(path.join(root, 'var/lib/nextrush/store')));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('in the root of the image the program looks names up and checks certificates', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-image-'));
  const root = path.join(directory, 'root');
  certify(directory);
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((file) => path.join(directory, file));
  const env = { JWT_SECRET: SECRET, NEXTRUSH_API_KEY: ADMIN_KEY };
  const listen = ['--listen', '127.0.0.1:0', '--tls-cert', certificate, '--tls-key', key];
  const server = new Program(built('nextrush'), listen, env);
  try {
    const [, port] = await server.line(/^Open https:\/\/localhost:(\d+)\/$/);
    execFileSync(path.join(ROOT, 'tools/dist'), ['--program', built('nextrush'), '--image', root]);
    // Containers are given it.
    writeFileSync(path.join(root, 'etc/hosts'), `127.0.0.1 ${NAME}\n`);
    const publish = async () => {
      const command = ['/usr/bin/nextrush', 'publish', '--url', `https://${NAME}:${port}`, 'prices', '{"a":1}'];
      const program = new Program('unshare', ['--map-root-user', `--root=${root}`, ...command], env);
      const { code } = await within(program.exited, 'a publication');
      return { code, stdout: program.stdout, stderr: program.stderr };
    };
    const refused = await publish();
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /certificate/i);
    copyFileSync(certificate, path.join(root, 'etc/ssl/certs/ca-certificates.crt'));
    const published = await publish();
    assert.deepEqual([published.code, published.stderr], [0, '']);
    assert.match(published.stdout, /^[\w-]+:1$/m);
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the health check of the image and of the files for Compose says whether the server serves', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'nextrush-health-'));
  const root = path.join(directory, 'root');
  const text = (/** @type {string} */ file) => readFileSync(path.join(ROOT, file), 'utf8');
  const [command] = text('deploy/Dockerfile').match(/(?<=^HEALTHCHECK .*CMD ).+$/m) ?? [];
  /** @type {string[]} */
  const check = JSON.parse(command ?? '[]');
  for (const file of ['deploy/compose.yaml', 'examples/two-nodes/compose.yaml']) {
    assert.match(text(file), new RegExp(`^ +test: \\[CMD, ${check.join(', ')}\\]$`, 'm'), file);
  }
  const server = await Server.start();
  try {
    execFileSync(path.join(ROOT, 'tools/dist'), ['--program', built('nextrush'), '--image', root]);
    // Containers are given it.
    writeFileSync(path.join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
    const health = async () => {
      const env = { NEXTRUSH_LISTEN: `0.0.0.0:${server.port}` };
      const program = new Program('unshare', ['--map-root-user', `--root=${root}`, ...check], env);
      const { code } = await within(program.exited, 'an answer');
      return { code, stdout: program.stdout, stderr: program.stderr };
    };
    assert.deepEqual(await health(), { code: 0, stdout: 'ok\n', stderr: '' });
    await server.stop();
    assert.equal((await health()).code, 1);
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the configuration for systemd is right, and its variables are settings', () => {
  const config = path.join(ROOT, 'deploy/nextrush.toml');
  const variables = readFileSync(path.join(ROOT, 'deploy/nextrush.env'), 'utf8').match(/^#?\w+(?==)/gm) ?? [];
  const names = variables.map((name) => name.replace('#', ''));
  assert.deepEqual(names, ['JWT_SECRET', 'NEXTRUSH_API_KEY', 'NEXTRUSH_ADMIN_KEY', 'NEXTRUSH_METRICS_KEY']);
  const env = Object.fromEntries(names.map((name) => [name, SECRET]));
  const run = (/** @type {string[]} */ ...args) =>
    execFileSync(built('nextrush'), ['config', ...args], { env, encoding: 'utf8', cwd: tmpdir() });
  run('check', config);
  const printed = run('print', '--config', config);
  for (const name of names) assert.match(printed, new RegExp(`\\(hidden\\).*# ${name}$`, 'm'));
});
