// Runs the suites against two servers on one Redis, behind a balancer that gives each connection
// one of them at random. NEXTRUSH_SEED repeats its choices; arguments are the files to run.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { SEED } from './support/chance.js';

/** The files that are not run, each with the one thing that it is about. */
const ONE_PROCESS = {
  'browser/board.test.js': 'an example of its own',
  'browser/mounted-inspector.test.js': 'an example of its own',
  'node/deflate.test.js': 'an example of its own',
  'node/full-disk.test.js': 'the disk of a store',
  'node/guide.test.js': 'an example of its own',
  'node/journey.test.js': 'how processes are run',
  'node/hostile-compression.test.js': 'an example of its own',
  'node/hostile-frames.test.js': 'the memory and descriptors of one process',
  'node/hostile-handshake.test.js': 'the memory and descriptors of one process',
  'node/hostile-messages.test.js': 'the memory and descriptors of one process',
  'node/hostile-resources.test.js': 'the memory and descriptors of one process',
  'node/hostile-tokens.test.js': 'the memory and descriptors of one process',
  'node/metrics.test.js': 'two examples of its own',
  'node/program.test.js': 'how one process starts and ends, and what it prints',
  'node/shipping.test.js': 'how one process is run',
  'browser/file-alone.test.js': 'how one process is run',
  'browser/reliable-client.test.js': 'a played server',
};
/** The most time of a file, as a failed test may leave a client behind that reconnects for ever. */
const FILE_MS = 1_800_000;
const HERE = path.dirname(fileURLToPath(import.meta.url));

/** @param {string} folder */
const suites = (folder) =>
  readdirSync(path.join(HERE, folder))
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => `${folder}/${name}`);

const wanted = process.argv.slice(2);
const all = [...suites('node'), ...suites('browser')].filter((file) => !(file in ONE_PROCESS));
process.env.NEXTRUSH_TEST_NODES ??= '2';
process.env.NEXTRUSH_SEED = String(SEED);
console.log(`NEXTRUSH_SEED=${SEED}`);
for (const [file, reason] of Object.entries(ONE_PROCESS)) console.log(`not run: ${file}: ${reason}`);
run({ files: (wanted.length > 0 ? wanted : all).map((file) => path.join(HERE, file)), concurrency: 4, timeout: FILE_MS })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(new Spec())
  .pipe(process.stdout);
