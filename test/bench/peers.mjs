// The whole report against programs that count three fields of the same file in the same run, as ratios to mawk's time on
// the text: whichever of them are installed. What they counted is held against what the generator wrote.
// `npm run bench:peers -- [LINES] [--kinds text,json,mixed] [--keep FOLDER] [--runs N]`: 1,000,000 lines of each kind, written
// anew, and the best of 3 runs, unless told otherwise. PYTHON names the Python that has DuckDB and Polars.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { benchArguments, best, circumstances, installed, launcher, say, table } from './measure.mjs';
import { trafficIn } from './traffic.mjs';

const { count, kinds, runs, folder, done } = benchArguments();
const python = process.env.PYTHON ?? 'python3';
const module = (name) => spawnSync(python, ['-c', `import ${name}`], { stdio: 'ignore' }).status === 0;

const AWK = '{n[$5" "$6" "$(NF-5)]++} END{for(k in n)print n[k],k}';

/** Started by `-c` it takes itself for a terminal's, and draws a bar on the output when a query takes 2 s. */
const duckdb = (query) => `
import duckdb, sys
duckdb.execute("set enable_progress_bar = false")
for r in duckdb.execute("""${query}""", [sys.argv[1]]).fetchall(): print(*r)`;
const NAMES = Array.from({ length: 22 }, (_, i) => `'c${i}'`);
const DUCKDB_CSV = duckdb(
  `select count(*), c2, c3, c16 from read_csv(?, columns={${NAMES.map((name) => `${name}:'varchar'`)}}, delim=' ', quote='"', escape='', header=false, auto_detect=false) group by all`,
);
const DUCKDB_SPLIT = duckdb(
  `select count(*), s[5], s[6], s[-6] from (select string_split(l, ' ') s from read_csv(?, columns={'l':'varchar'}, delim='\\x01', quote='', header=false)) group by all`,
);
const DUCKDB_JSON = duckdb(
  `select count(*), response_code, response_flags, coalesce(upstream_cluster, '-') from read_json(?, format='newline_delimited', columns={'response_code':'int','response_flags':'varchar','upstream_cluster':'varchar'}) group by all`,
);

const polars = (frame, [code, flags, cluster]) => `
import polars as pl, sys
s = pl.${frame}.group_by('${code}', '${flags}', '${cluster}').len().collect(engine='streaming')
for r in s.iter_rows(): print(r[3], *r[:3])`;
const POLARS_CSV = polars(
  `scan_csv(sys.argv[1], has_header=False, separator=' ', quote_char='"', schema={n: pl.String for n in [${NAMES}]})`,
  ['c2', 'c3', 'c16'],
);
const POLARS_REGEX = polars(
  `scan_csv(sys.argv[1], has_header=False, separator='\\x01', quote_char=None, new_columns=['l']).select(pl.col('l').str.extract_groups(r'" (\\d+) (\\S+) .* (\\S+) \\S+ \\S+ \\S+ \\S+ \\S+$').alias('g')).unnest('g')`,
  ['1', '2', '3'],
);

const JQ =
  'reduce inputs as $l ({}; .["\\($l.response_code) \\($l.response_flags) \\($l.upstream_cluster // "-")"] += 1) | to_entries[] | "\\(.value) \\(.key)"';

const GOACCESS = [
  '--no-global-config',
  '--log-format=[%dT%t.%^Z] "%r" %s %^ %^ %^ "%^" %^ %b %L %^ "%h" "%u" %^',
  '--date-format=%Y-%m-%d',
  '--time-format=%H:%M:%S',
  '--no-strict-status',
  '--no-progress',
  '--output=json',
];

/** lnav reads its formats from the home folder. */
const LNAV = { HOME: join(folder, 'lnav'), XDG_CONFIG_HOME: '' };
const LNAV_FORMAT = {
  $schema: 'https://lnav.org/schemas/format-v1.schema.json',
  envoy_text: {
    title: 'Envoy',
    description: 'Access logs as Istio writes them',
    regex: {
      line: {
        pattern:
          '^\\[(?<timestamp>[^\\]]+)\\] "(?<request>[^"]*)" (?<code>\\d+) (?<flags>\\S+) (?<body>.*) (?<cluster>\\S+) \\S+ \\S+ \\S+ \\S+ \\S+$',
      },
    },
    value: { code: { kind: 'integer' }, flags: { kind: 'string' }, cluster: { kind: 'string' } },
    sample: [
      { line: '[2026-11-24T00:00:00.000Z] "GET / HTTP/2" 200 - via_upstream "-" outbound|80||a.b a b c d -' },
    ],
  },
};
function layLnavFormat() {
  const formats = join(LNAV.HOME, '.lnav', 'formats', 'envoy');
  mkdirSync(formats, { recursive: true });
  writeFileSync(join(formats, 'envoy.json'), JSON.stringify(LNAV_FORMAT));
}
const LNAV_QUERY = ';SELECT count(*), code, flags, cluster FROM envoy_text GROUP BY 2, 3, 4';

const AGRIND =
  '* | parse regex "\\" (?P<code>\\d+) (?P<flags>\\S+) .* (?P<cluster>\\S+) \\S+ \\S+ \\S+ \\S+ \\S+$" | count by code, flags, cluster';

/** From lines of `count code flags cluster`, whatever stands between them. */
function fromLines(text) {
  const totals = {};
  for (const line of text.trim().split('\n')) {
    const [n, ...key] = line.trim().split(/[\s,]+/);
    if (!/^\d+$/.test(n)) throw new Error(`prints what is no count: ${line.slice(0, 40)}`);
    totals[key.join(' ')] = (totals[key.join(' ')] ?? 0) + Number(n);
  }
  return totals;
}

function fromGoaccess(text) {
  const totals = {};
  for (const { items } of JSON.parse(text).status_codes.data) {
    // Whatever is no code of HTTP is unknown to it: only 0 is written.
    for (const { data, hits } of items) totals[/^\d+/.exec(data)?.[0] ?? '0'] = hits.count;
  }
  return totals;
}

const code = (key) => key.split(' ')[0];
const three = (key) => key;
const unavailable = (key) => (key.startsWith('503 UF ') ? '503 UF' : null);

/** Its name, what is started, with which arguments; how its output is read, and which of the totals it can tell. */
const peer = (name, there, command, args, { read = fromLines, tells = three, env } = {}) => ({
  name,
  there,
  command,
  args,
  read,
  tells,
  env,
});
const mawk = (name, program) =>
  peer(name, installed('mawk', ['-W', 'version']), 'mawk', (path) => [program, path]);
const onText = [
  mawk('mawk', AWK),
  peer('gawk -b', installed('gawk'), 'gawk', (path) => ['-b', AWK, path]),
  peer('ripgrep, lines of 503 UF only', installed('rg'), 'rg', (path) => ['-c', '" 503 UF ', path], {
    read: (text) => ({ '503 UF': Number(text) }),
    tells: unavailable,
  }),
  peer('DuckDB, as CSV', module('duckdb'), python, (path) => ['-c', DUCKDB_CSV, path]),
  peer('DuckDB, lines split', module('duckdb'), python, (path) => ['-c', DUCKDB_SPLIT, path]),
  peer('Polars, as CSV', module('polars'), python, (path) => ['-c', POLARS_CSV, path]),
  peer('Polars, by a regular expression', module('polars'), python, (path) => ['-c', POLARS_REGEX, path]),
  peer('goaccess', installed('goaccess'), 'goaccess', (path) => [path, ...GOACCESS], {
    read: fromGoaccess,
    tells: code,
  }),
  peer('lnav', installed('lnav', ['-V']), 'lnav', (path) => ['-n', '-c', LNAV_QUERY, '-c', ':write-csv-to -', path], { read: (text) => fromLines(text.slice(text.indexOf('\n'))), env: LNAV }), // prettier-ignore
  peer('angle-grinder', installed('agrind'), 'agrind', (path) => ['-f', path, AGRIND, '-o', 'format={_count} {code} {flags} {cluster}']), // prettier-ignore
];
const onJson = [
  peer('jq', installed('jq'), 'jq', (path) => ['-nr', JQ, path]),
  peer('DuckDB, JSON', module('duckdb'), python, (path) => ['-c', DUCKDB_JSON, path]),
];
const PEERS = {
  text: onText,
  json: onJson,
  mixed: [...onText, mawk('mawk, lines of 6 words or more', `NF>5${AWK}`), ...onJson],
};

const OURS = peer(
  'meshtail report -o json',
  true,
  process.execPath,
  (path) => [launcher, 'report', '-o', 'json', path],
  { read: (text) => JSON.parse(text).totals.by_code, tells: code },
);

/** How totals differ from those that were written, in lines. */
function verdict(told, totals, tells) {
  const expected = {};
  for (const [key, n] of Object.entries(totals)) {
    const as = tells(key);
    if (as !== null) expected[as] = (expected[as] ?? 0) + n;
  }
  let missing = 0;
  let extra = 0;
  for (const key of new Set([...Object.keys(told), ...Object.keys(expected)])) {
    const off = (told[key] ?? 0) - (expected[key] ?? 0);
    if (off < 0) missing -= off;
    else extra += off;
  }
  if (missing + extra === 0) return tells === three ? 'right, all three' : 'right';
  return [[missing, 'missing'], [extra, 'too many']].filter(([n]) => n > 0).map(([n, what]) => `${n.toLocaleString('en')} ${what}`).join(', '); // prettier-ignore
}

/** mawk's on the text. */
let unit;

function compare(kind) {
  const { path, totals } = trafficIn(folder, kind, count);
  const row = table(
    `${kind}, ${count.toLocaleString('en')} lines, ${(statSync(path).size / 1e6).toFixed(0)} MB`,
    ' wall s',
    'of mawk’s',
    '  CPU s',
    'of mawk’s',
    'peak MB',
    'totals',
  );
  for (const { name, there, command, args, read, tells, env } of [...PEERS[kind], OURS]) {
    if (!there) {
      row(name, '', '', '', '', '', 'not installed');
      continue;
    }
    try {
      const { stdout, wall, cpu, memory } = best(runs, command, args(path), { env });
      if (name === 'mawk') unit ??= { wall, cpu };
      const ratio = (value, to) => (to ? (value / to).toFixed(2) : '');
      row(name, wall.toFixed(2), ratio(wall, unit?.wall), cpu.toFixed(2), ratio(cpu, unit?.cpu), memory.toFixed(0), verdict(read(stdout), totals, tells)); // prettier-ignore
    } catch (error) {
      row(name, '', '', '', '', '', error.message.replaceAll(path, 'FILE').slice(0, 100));
    }
  }
  return path;
}

try {
  layLnavFormat();
  say(`${circumstances()}\n`);
  for (const kind of kinds) {
    compare(kind);
    say();
  }
} finally {
  done();
}
