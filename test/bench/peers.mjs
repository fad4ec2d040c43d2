// The whole report against programs that count three fields of the same file in the same run, as ratios to mawk's wall
// time: whichever of them are installed. Their totals by response code are held against ours; where they differ, it is
// said. `npm run bench:peers [LINES]`, 1,000,000 unless told otherwise.
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { launcher, measured, say } from './measure.mjs';
import { writeTraffic } from './traffic.mjs';

const count = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'meshtail-peers-'));
const AWK = '{n[$5" "$6" "$(NF-5)]++} END{for(k in n)print n[k],k}';
const python = process.env.PYTHON ?? 'python3';

const installed = (command, args = ['--version']) =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const module = (name) => spawnSync(python, ['-c', `import ${name}`], { stdio: 'ignore' }).status === 0;

/** Counts by code from lines of `count code …`. */
function byCode(text) {
  const codes = {};
  for (const line of text.trim().split('\n')) {
    const [n, code] = line.trim().split(/\s+/);
    codes[code] = (codes[code] ?? 0) + Number(n);
  }
  return codes;
}

const DUCKDB_TEXT = `
import duckdb, sys
q = """select count(*), s[5], s[6], s[-6] from (select string_split(l, ' ') s from read_csv(?, columns={'l':'varchar'}, delim='\\x01', quote='', header=false)) group by 2, 3, 4"""
for r in duckdb.execute(q, [sys.argv[1]]).fetchall(): print(*r)`;
const DUCKDB_JSON = `
import duckdb, sys
q = """select count(*), response_code, response_flags, upstream_cluster from read_json(?, format='newline_delimited', columns={'response_code':'int','response_flags':'varchar','upstream_cluster':'varchar'}) group by 2, 3, 4"""
for r in duckdb.execute(q, [sys.argv[1]]).fetchall(): print(*r)`;
const POLARS_TEXT = `
import polars as pl, sys
s = pl.scan_csv(sys.argv[1], has_header=False, separator='\\x01', quote_char=None, new_columns=['l']).select(pl.col('l').str.extract_groups(r'" (\\d+) (\\S+) .* (\\S+) \\S+ \\S+ \\S+ \\S+ \\S+$').alias('g')).unnest('g').group_by('1', '2', '3').len().collect(engine='streaming')
for r in s.iter_rows(): print(r[3], *r[:3])`;
const JQ = '"\\(.response_code) \\(.response_flags) \\(.upstream_cluster)"';
const JQ_COUNT = `reduce inputs as $l ({}; .[$l | ${JQ}] += 1) | to_entries[] | "\\(.value) \\(.key)"`;

const PEERS = {
  text: [
    ['mawk', installed('mawk', ['-W', 'version']), 'mawk', (path) => [AWK, path]],
    ['gawk', installed('gawk'), 'gawk', (path) => ['-b', AWK, path]],
    ['ripgrep (lines with UF only)', installed('rg'), 'rg', (path) => ['-c', '" 503 UF ', path], () => null],
    ['DuckDB', module('duckdb'), python, (path) => ['-c', DUCKDB_TEXT, path]],
    ['Polars', module('polars'), python, (path) => ['-c', POLARS_TEXT, path]],
  ],
  json: [
    ['jq', installed('jq'), 'jq', (path) => ['-nr', JQ_COUNT, path]],
    ['DuckDB', module('duckdb'), python, (path) => ['-c', DUCKDB_JSON, path]],
  ],
};

const sameCodes = (a, b) =>
  JSON.stringify(Object.entries(a).toSorted()) === JSON.stringify(Object.entries(b).toSorted());

try {
  let unit;
  for (const kind of ['text', 'json']) {
    const path = join(folder, `${kind}.log`);
    writeTraffic(path, kind, count);
    say(
      `${kind}, ${count} lines, ${(statSync(path).size / 1e6).toFixed(0)} MB`,
      'wall s',
      'to mawk',
      'CPU s',
      'peak MB',
      'totals',
    );
    const tell = (name, { wall, cpu, memory }, totals) =>
      say(
        `  ${name}`,
        wall.toFixed(2),
        unit ? (wall / unit).toFixed(2) : '',
        cpu.toFixed(2),
        memory.toFixed(0),
        totals,
      );
    const own = () => measured(process.execPath, [launcher, 'report', '-o', 'json', path]);
    own();
    const ours = own();
    const codes = JSON.parse(ours.stdout).totals.by_code;
    for (const [name, there, command, args, read = byCode] of PEERS[kind]) {
      if (!there) {
        say(`  ${name}`, 'not installed');
        continue;
      }
      try {
        const run = measured(command, args(path));
        if (name === 'mawk') unit = run.wall;
        const theirs = read(run.stdout);
        tell(name, run, theirs === null ? '' : sameCodes(theirs, codes) ? 'the same' : 'differ');
      } catch (error) {
        say(`  ${name}`, String(error.message).split('\n')[0]);
      }
    }
    tell('meshtail report -o json', ours, '');
    if (kind === 'text') {
      await pipeline(createReadStream(path), createGzip({ level: 6 }), createWriteStream(`${path}.gz`));
      const inflate = `const {createReadStream}=require('fs');createReadStream(process.argv[1],{highWaterMark:1<<18}).pipe(require('zlib').createGunzip({chunkSize:1<<18})).resume()`;
      tell('Node’s own inflate, text.gz', measured(process.execPath, ['-e', inflate, `${path}.gz`]), '');
      const packed = measured(process.execPath, [launcher, 'report', '-o', 'json', `${path}.gz`]);
      tell(
        'meshtail report -o json, text.gz',
        packed,
        sameCodes(JSON.parse(packed.stdout).totals.by_code, codes) ? 'the same' : 'differ',
      );
    }
    rmSync(path);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
