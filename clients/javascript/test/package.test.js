import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The files of a folder, with their texts. */
function texts(folder) {
  return Object.fromEntries(
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

test('the committed types are those of the sources (else: npm run types)', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'nextrush-client-types-'));
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status, stdout } = spawnSync(
      process.execPath,
      [tsc, '-p', join(root, 'tsconfig.types.json'), '--outDir', fresh],
      { encoding: 'utf8' },
    );
    assert.equal(status, 0, stdout);
    assert.deepEqual(texts(join(root, 'types')), texts(fresh));
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

test('the committed CommonJS is that of the sources (else: npm run types)', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'nextrush-client-cjs-'));
  try {
    run('node', join(root, 'tools/cjs.js'), fresh);
    for (const folder of ['.', 'testing']) {
      assert.deepEqual(texts(join(root, 'cjs', folder)), texts(join(fresh, folder)));
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

test('the package is reached by require, too, with the same names', async () => {
  const require = createRequire(join(root, 'test/package.test.js'));
  for (const name of ['', '/react', '/tabs', '/svelte', '/tanstack-query', '/testing']) {
    const byImport = await import(`nextrush-client${name}`);
    assert.deepEqual(Object.keys(require(`nextrush-client${name}`)).sort(), Object.keys(byImport).sort());
  }
  const { LiveClient, ClientError } = require('nextrush-client');
  assert.throws(() => new LiveClient('jwt', { server: 'x y' }), ClientError);
});

test('the package is reached under its own name', async () => {
  const byName = await import('nextrush-client');
  assert.deepEqual(Object.keys(byName).sort(), [
    'ChatClient',
    'Client',
    'ClientError',
    'ErrorCode',
    'LiveClient',
    'Outbox',
    'Presence',
    'Reason',
    'State',
    'Subscription',
    'SubscriptionState',
    'TypingUsers',
    'hold',
    'listen',
  ]);
});

test('states, reasons and codes cannot be changed', async () => {
  const { ErrorCode, Reason, State, SubscriptionState } = await import('nextrush-client');
  for (const table of [ErrorCode, Reason, State, SubscriptionState]) {
    assert.ok(Object.isFrozen(table));
  }
});

test('the modules import nothing but each other, by paths that a browser can follow', () => {
  for (const [name, text] of Object.entries(texts(join(root, 'src')))) {
    const code = text.replaceAll(/\/\*[^]*?\*\//g, '');
    for (const [, specifier] of code.matchAll(/^(?:import|export|\}).* from '([^']+)';$/gm)) {
      if (name === 'react.js' && specifier === 'react') continue;
      assert.match(specifier, /^\.\/[a-z-]+\.js$/, name);
    }
    assert.doesNotMatch(code, /^import '/m, name);
    // Loaded when it is needed, by bundlers and browsers alike.
    for (const [, specifier] of code.matchAll(/\bimport\s*\(([^]*?)\)/g)) {
      assert.equal(specifier, "'./handshake.js'", name);
    }
  }
});

/**
 * The size of a bundle in bytes, minified and compressed, without the module that is loaded only when
 * a handshake fails.
 */
async function size(code) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    splitting: true,
    outdir: root,
    chunkNames: '[name]',
    format: 'esm',
    external: ['react'],
    write: false,
  });
  return outputFiles
    .filter(({ path }) => basename(path) !== 'handshake.js')
    .reduce((bytes, { contents }) => bytes + gzipSync(contents, { level: 9 }).length, 0);
}

const KB = 1_024;
for (const [what, limit, code] of [
  ['channels over a connection that comes back', 8.9 * KB, "export { LiveClient } from 'nextrush-client'"],
  ['a chat room', 9.4 * KB, "export { ChatClient } from 'nextrush-client'"],
  ['everything, with presence and the outbox,', 14.2 * KB, "export * from 'nextrush-client'"],
  ['what tabs share', 4.2 * KB, "export * from 'nextrush-client/tabs'"],
  ['a store for Svelte', 9.2 * KB, "export { LiveClient } from 'nextrush-client'; export * from 'nextrush-client/svelte'"],
  ['the names of states and reasons', 0.6 * KB, "export { State, Reason } from 'nextrush-client'"],
]) {
  test(`${what} weighs at most ${limit} bytes`, async (t) => {
    const bytes = await size(code);
    t.diagnostic(`${bytes} bytes`);
    assert.ok(bytes <= limit, `${bytes} bytes`);
  });
}

/** Runs Node or a tool of the development dependencies. */
function run(tool, ...args) {
  const program = tool === 'node' ? process.execPath : join(root, 'node_modules', '.bin', tool);
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

test('the packed package holds all that it exports, and works where it is unpacked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nextrush-client-pack-'));
  try {
    const call = (command, args, cwd) => {
      const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      return stdout;
    };
    const [{ filename }] = JSON.parse(call('npm', ['pack', '--json', '--pack-destination', folder], root));
    const unpacked = join(folder, 'node_modules', 'nextrush-client');
    mkdirSync(unpacked, { recursive: true });
    call('tar', ['-xzf', join(folder, filename), '-C', unpacked, '--strip-components=1'], folder);
    assert.deepEqual(Object.keys(texts(join(unpacked, 'src'))), Object.keys(texts(join(root, 'src'))));
    assert.deepEqual(Object.keys(texts(join(unpacked, 'types'))), Object.keys(texts(join(root, 'types'))));
    const { exports } = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8'));
    for (const paths of Object.values(exports)) {
      for (const found of Object.values(typeof paths === 'string' ? { paths: { paths } } : paths)) {
        for (const path of Object.values(found)) readFileSync(join(unpacked, path));
      }
    }
    const program = `
      const { LiveClient } = await import('nextrush-client');
      const { sharedWebSocket } = await import('nextrush-client/tabs');
      const live = new LiveClient('jwt', { WebSocket: sharedWebSocket('live of 7') });
      console.log(live.state, live.subscribe('posts').state);
    `;
    assert.equal(call(process.execPath, ['--input-type=module', '-e', program], folder), 'closed subscribing\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the hooks are marked as those of a client component', () => {
  assert.match(readFileSync(join(root, 'src/react.js'), 'utf8'), /^'use client';\n/);
});

test('the package can be published as it is (publint)', () => run('publint', 'run', '--strict'));

test('its types are found by every resolution that can load it (attw)', () => {
  run('attw', '--pack', '.', '--profile', 'node16', '--no-emoji');
});
