import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * Examines what is on the screen with axe-core.
 *
 * @param {import('./browser.js').Visitor} visitor
 * @param {string} where
 */
export async function assertAccessible({ page }, where) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate('axe.run()');
  assert.ok(passes.length > 10, `${where}: axe has looked at nothing`);
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
  assert.deepEqual(serious, [], where);
}
