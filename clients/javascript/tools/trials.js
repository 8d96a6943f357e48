// Uses this package as applications do that have installed it, from a packed tarball and from a link: in Vite, Vitest,
// Jest with jsdom, Vue, Svelte, TanStack Query, and rendered on a server without a WebSocket. What they need is
// installed in a folder of its own, as trials/package-lock.json says.
//
//   node tools/trials.js

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nextrush-trials-'));
const project = join(folder, 'project');

function run(command, args, cwd = project) {
  const env = { ...process.env, NODE_ENV: '', FORCE_COLOR: '0' };
  delete env.NODE_ENV;
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status === 0) return stdout;
  console.error(`trials: ${command} ${args.join(' ')}\n${stdout}${stderr}${error ?? ''}`);
  rmSync(folder, { recursive: true });
  process.exit(1);
}

const npm = (...args) => run('npm', [...args, '--silent', '--no-audit', '--no-fund', '--ignore-scripts']);
const tool = (name, ...args) => run(join(project, 'node_modules/.bin', name), args);
const node = (...args) => run(process.execPath, args);

const TRIALS = {
  'rendered on a server': () => node('render.js'),
  Vite: () => tool('vite', 'build', '--logLevel', 'error'),
  // One bundle, which holds one React only or fails, and where there is no `ws`.
  'Vite, for a server': () => {
    tool('vite', 'build', '--ssr', 'render.js', '--outDir', join(folder, 'server'), '--emptyOutDir', '--logLevel', 'error');
    const [bundle] = readdirSync(join(folder, 'server')).filter((name) => name.startsWith('render.'));
    node(join(folder, 'server', bundle));
  },
  Vitest: () => tool('vitest', 'run'),
  Jest: () => tool('jest', '--testMatch', '**/*.jest.cjs'),
  'Vue, Svelte and TanStack Query': () => node('stores.js'),
};

cpSync(join(root, 'trials'), project, { recursive: true });
npm('ci');
mkdirSync(join(folder, 'packed'));
const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', join(folder, 'packed')], root));
for (const [how, ...args] of [
  ['tarball', join(folder, 'packed', filename)],
  ['link', '--install-links=false', root],
]) {
  npm('install', '--no-save', ...args);
  for (const [what, attempt] of Object.entries(TRIALS)) {
    // What a link changes is where React is found.
    if (how === 'link' && !what.startsWith('Vi')) continue;
    const begun = performance.now();
    attempt();
    console.log(`${how}: ${what} (${Math.round(performance.now() - begun)} ms)`);
  }
}
rmSync(folder, { recursive: true });
