// Writes cjs/: this package as CommonJS, module by module, for Jest and other loaders that know nothing else.
//
//   npm run cjs [folder]

import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = process.argv[2] ?? join(root, 'cjs');
const modules = (folder, end = '.js') => readdirSync(join(root, folder)).filter((name) => name.endsWith(end));

rmSync(out, { recursive: true, force: true });
for (const [from, to] of [['src', '.'], ['testing', 'testing']]) {
  await build({
    absWorkingDir: root,
    entryPoints: modules(from).map((name) => join(from, name)),
    outdir: join(out, to),
    format: 'cjs',
    // So that what is loaded later is loaded by `require`, too.
    platform: 'node',
    target: 'es2022',
    // The path from which `createRequire` begins to look.
    define: { 'import.meta.url': '__filename' },
    supported: { 'dynamic-import': false },
    logLevel: 'error',
  });
}
for (const name of modules('types', '.d.ts')) copyFileSync(join(root, 'types', name), join(out, name));
const testing = readFileSync(join(root, 'testing/index.d.ts'), 'utf8');
writeFileSync(join(out, 'testing/index.d.ts'), testing.replace('../types/', '../'));
writeFileSync(join(out, 'package.json'), '{ "type": "commonjs" }\n');
