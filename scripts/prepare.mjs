// Builds after `npm install`. Where the compiler was left out on purpose (--omit=dev, --omit=optional, production) the
// install must not fail: the launcher then says what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = `${root}node_modules/typescript/bin/tsc`;
const platform = `${root}node_modules/@typescript/typescript-${process.platform}-${process.arch}`;
if (!existsSync(compiler) || !existsSync(platform)) {
  process.stderr.write('meshtail: not built, the TypeScript compiler is not installed\n');
  process.exit(0);
}
rmSync(`${root}dist`, { recursive: true, force: true });
for (const step of [[compiler, '-p', 'tsconfig.json'], ['scripts/bundle.mjs']]) {
  const { status } = spawnSync(process.execPath, step, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
