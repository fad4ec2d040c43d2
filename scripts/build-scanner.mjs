// Builds src/bulk/scanner/scan.c into module.ts beside it, with clang and its WebAssembly linker (Debian: clang, lld). The
// built module is committed: who only builds meshtail needs neither. `--print` prints the module instead, as base64.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/bulk/scanner/', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'meshtail-scanner-'));
/** Loops are short: unrolled they only make functions that take longer to compile and to run. */
const COMPILE =
  '--target=wasm32 -Os -msimd128 -mbulk-memory -ffreestanding -fno-unroll-loops -fno-vectorize -Wall -Wextra -Werror';
const LINK = '--no-entry --strip-all -z stack-size=65536';

const run = (command, args) => execFileSync(command, args, { cwd: folder, stdio: 'inherit' });

try {
  const object = join(scratch, 'scan.o');
  const module = join(scratch, 'scan.wasm');
  // One step after the other: clang would hand the module on to whatever optimiser it finds.
  run('clang', [...COMPILE.split(' '), '-c', '-o', object, 'scan.c']);
  run('wasm-ld', [...LINK.split(' '), '-o', module, object]);
  const text = readFileSync(module).toString('base64');
  const compiler = execFileSync('clang', ['--version'], { encoding: 'utf8' }).split('\n')[0];
  if (process.argv.includes('--print')) process.stdout.write(text);
  else {
    writeFileSync(
      join(folder, 'module.ts'),
      `// Built from scan.c by scripts/build-scanner.mjs; not to be edited.\n\n` +
        `/** With which it was built. */\nexport const COMPILER = '${compiler}';\n\n` +
        `/** The module, as base64. */\nexport const MODULE =\n  '${text}';\n`,
    );
  }
} catch (error) {
  if (error.code !== 'ENOENT') throw error;
  process.stderr.write('build-scanner: clang is not installed (Debian: apt-get install clang lld)\n');
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
