// Measures this package and its peers in the same way: bundled and minified by esbuild for
// browsers, compressed by gzip -9. Installs the peers in a folder of its own.
//
//   npm run sizes

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const own = fileURLToPath(new URL('..', import.meta.url));

/** What an application imports to connect and to subscribe, and no more. */
const CASES = [
  ['nextrush-client', 'channels', "export { LiveClient } from 'nextrush-client'", own],
  ['nextrush-client', 'a chat room', "export { ChatClient } from 'nextrush-client'", own],
  ['nextrush-client', 'everything', "export * from 'nextrush-client'", own],
  ['nextrush-client', 'one socket for all tabs', "export * from 'nextrush-client/tabs'", own],
  ['socket.io-client', 'io', "export { io } from 'socket.io-client'"],
  ['centrifuge', 'Centrifuge', "export { Centrifuge } from 'centrifuge'"],
  ['phoenix', 'Socket, Presence', "export { Socket, Presence } from 'phoenix'"],
  ['ably', 'Realtime', "export { Realtime } from 'ably'"],
  ['ably', 'modular, with presence', "export { BaseRealtime, FetchRequest, RealtimePresence, WebSocketTransport } from 'ably/modular'"],
  ['pusher-js', 'Pusher', "export { default } from 'pusher-js'"],
  ['partysocket', 'WebSocket', "export { WebSocket } from 'partysocket'"],
  ['@microsoft/signalr', 'HubConnectionBuilder', "export { HubConnectionBuilder } from '@microsoft/signalr'"],
];

const folder = mkdtempSync(join(tmpdir(), 'nextrush-sizes-'));
try {
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const peers = [...new Set(CASES.filter(([, , , at]) => !at).map(([name]) => name))];
  spawnSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', ...peers], {
    cwd: folder,
    stdio: 'inherit',
  });
  for (const [name, what, contents, at] of CASES) {
    const manifest = at ? join(at, 'package.json') : join(folder, 'node_modules', name, 'package.json');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    const { outputFiles, metafile } = await build({
      stdin: { contents, resolveDir: at ?? folder },
      bundle: true,
      minify: true,
      splitting: true,
      outdir: folder,
      entryNames: 'entry',
      format: 'esm',
      platform: 'browser',
      define: { 'process.env.NODE_ENV': '"production"' },
      external: ['react'],
      logLevel: 'error',
      metafile: true,
      absWorkingDir: folder,
      write: false,
    });
    // What is loaded later, if at all, is no part of what a page pays at once.
    const loaded = new Set(['entry.js']);
    for (const output of loaded) {
      for (const { path, kind } of metafile.outputs[output].imports) if (kind === 'import-statement') loaded.add(path);
    }
    const bytes = outputFiles
      .filter(({ path }) => loaded.has(relative(folder, path)))
      .reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);
    console.log(`${String(bytes).padStart(7)}  ${name} ${version}  ${what}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
