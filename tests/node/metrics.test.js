// The dashboard and the alerts in `deploy/`: each query of theirs is asked of a Prometheus that has scraped
// two loaded nodes (`examples/operators.rs`).
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../support/patience.js';
import { Program, ROOT, built } from '../support/program.js';
import { Socket } from '../support/socket.js';

const PROMETHEUS = process.env.PROMETHEUS || 'prometheus';
const PROMTOOL = PROMETHEUS.replace(/prometheus$/, 'promtool');
const KEY = 'a key of tests, of thirty-two bytes and more';
const RULES = path.join(ROOT, 'deploy', 'prometheus', 'nextrush.rules.yml');

let folder = '';
/** @type {Program[]} */
const nodes = [];
/** @type {number[]} */
const ports = [];
/** @type {Program} */
let prometheus;
let origin = '';

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nextrush-metrics-'));
  for (const name of ['a', 'b']) {
    const keys = { API_KEY: KEY, ADMIN_KEY: KEY, METRICS_KEY: KEY };
    const node = new Program(built('examples', 'operators'), [path.join(folder, name), '0'], keys);
    nodes.push(node);
    const [, port] = await node.line(/^listening on port (\d+)$/);
    ports.push(Number(port));
  }
  await writeFile(
    path.join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' },
      rule_files: [RULES],
      scrape_configs: [
        {
          job_name: 'nextrush',
          authorization: { credentials: KEY },
          static_configs: [{ targets: ports.map((port) => `127.0.0.1:${port}`) }],
        },
      ],
    }),
  );
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  prometheus = new Program(PROMETHEUS, [
    `--config.file=${path.join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${path.join(folder, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  await eventually(() => isReady(), () => `Prometheus to be ready: ${prometheus.stderr}`);
});
after(async () => {
  await prometheus?.stop();
  for (const node of nodes) await node.stop();
  await rm(folder, { recursive: true, force: true });
});

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

async function isReady() {
  const answer = await fetch(`${origin}/-/ready`).catch(() => undefined);
  return answer?.ok;
}

/** Reads on to a message of a type. @param {Socket} socket @param {string} type */
async function messageOf(socket, type) {
  for (;;) if ((await socket.json()).type === type) return;
}

/** Uses everything that is counted. @param {number} port */
async function load(port) {
  const url = `ws://127.0.0.1:${port}/live`;
  const reader = await Socket.connect(url);
  reader.send({ type: 'subscribe', channel: 'news' });
  const { epoch } = await reader.json();
  for (let n = 0; n < 20; n += 1) {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ channel: 'news', data: n });
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/publish`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    assert.equal((await reader.json()).data, n);
  }
  for (const since of [{ epoch, offset: 1 }, { epoch: 'another', offset: 1 }]) {
    const back = await Socket.connect(url);
    back.send({ type: 'subscribe', channel: 'news', since });
    assert.equal((await back.json()).recovered, since.epoch === epoch);
    back.send({ type: 'readers', channel: 'news', id: '1' });
    await messageOf(back, 'reply');
    back.send({ type: 'readers', channel: 'sport', id: '2' });
    await messageOf(back, 'error');
  }
}

/** @param {string} query @returns {Promise<any[]>} */
async function ask(query) {
  const answer = await fetch(`${origin}/api/v1/query?query=${encodeURIComponent(query)}`);
  const body = /** @type {any} */ (await answer.json());
  assert.equal(body.status, 'success', `${query}: ${body.error}`);
  return body.data.result;
}

/** Waits until a query has series of both nodes, or one of all. @param {string} query */
async function assertSeries(query) {
  await eventually(async () => (await ask(query)).length > 0, `series of ${query}`);
}

test('the rules are valid, and each alert fires when it has to and not before', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(PROMTOOL, ['check', 'rules', RULES]);
  assert.match(stdout, /SUCCESS: 12 rules found/);
  await run(PROMTOOL, ['test', 'rules', RULES.replace('.rules.', '.test.')]);
  const tests = await readFile(RULES.replace('.rules.', '.test.'), 'utf8');
  for (const [, alert] of (await readFile(RULES, 'utf8')).matchAll(/alert: (\w+)/g)) {
    const cases = tests.split(`alertname: ${alert}\n`).slice(1);
    assert.deepEqual(cases.map((text) => text.trimStart().startsWith('exp_alerts: []')), [true, false], alert);
  }
});

test('every query of the dashboard and of the alerts has series of two loaded nodes', async () => {
  for (const port of ports) await load(port);
  await eventually(async () => (await ask('up == 1')).length === 2, 'both nodes to be scraped');
  const loaded = 'sum(nextrush_publications_total) == 40 and sum(nextrush_request_duration_seconds_count) == 8';
  await assertSeries(loaded);

  const dashboard = JSON.parse(await readFile(path.join(ROOT, 'deploy', 'grafana', 'nextrush.json'), 'utf8'));
  const panels = dashboard.panels.filter((/** @type {any} */ panel) => panel.type !== 'row');
  const ids = new Set(dashboard.panels.map((/** @type {any} */ panel) => panel.id));
  assert.equal(ids.size, dashboard.panels.length);
  let queries = 0;
  for (const { title, targets } of panels) {
    assert.ok(targets.length > 0, title);
    for (const { expr } of targets) {
      const query = expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance)/g, '.*');
      assert.doesNotMatch(query, /\$/, title);
      await assertSeries(query);
      queries += 1;
    }
  }
  assert.ok(queries >= 30, `${queries} queries`);

  const { data } = /** @type {any} */ (await (await fetch(`${origin}/api/v1/rules`)).json());
  const rules = data.groups.flatMap((/** @type {any} */ group) => group.rules);
  assert.equal(rules.length, 12);
  for (const { name, query } of rules) {
    // What is compared is there, whatever the comparison says.
    const sides = query.split(/ (?:[<>]|==) /);
    assert.equal(sides.length, 2, name);
    for (const side of sides) if (side.includes('(') || /[a-z_]{3}/.test(side)) await assertSeries(side);
  }
  await eventually(async () => {
    const answer = /** @type {any} */ (await (await fetch(`${origin}/api/v1/rules`)).json());
    return answer.data.groups[0].rules.every((/** @type {any} */ rule) => rule.health === 'ok');
  }, 'all rules to be evaluated');
  assert.deepEqual((await ask('ALERTS{alertstate="firing"}')), []);
});

test('the queries have names of the guide only', async () => {
  const guide = await readFile(path.join(ROOT, 'docs', 'guide', 'src', 'metrics.md'), 'utf8');
  const listed = new Set([...guide.matchAll(/^\| `(nextrush_\w+)`/gm)].map(([, name]) => name));
  const dashboard = await readFile(path.join(ROOT, 'deploy', 'grafana', 'nextrush.json'), 'utf8');
  const used = new Set(`${dashboard}${await readFile(RULES, 'utf8')}`.match(/nextrush_\w+/g));
  assert.ok(used.size > 25, `${used.size} names`);
  for (const name of used) assert.ok(listed.has(name) || listed.has(name.replace(/_(bucket|count|sum)$/, '')), name);
});
