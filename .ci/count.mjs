// Adds up the runner's JSON results in a folder and prints `N passed, N failed`. Fails where anything failed, where no
// test ran, and where a suite broke before its tests were known (counted as one failure).
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
let passed = 0;
let failed = 0;
for (const name of readdirSync(folder)) {
  if (!name.endsWith('.json')) continue;
  let result;
  try {
    result = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch {
    // The runner died while it wrote.
    failed++;
    continue;
  }
  passed += result.numPassedTests;
  failed += result.numFailedTests;
  const broken = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  failed += broken.length;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
