// The same incidents with less to go by: one side's logs taken away, the servers' clocks 3 s ahead, a tenth of the
// lines lost, all logs poured into one in which no line names its pod. What is right without a side stands in the truth
// (`without`), written before any rule was looked at.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { reportOn, scoreOf } from './compare.mjs';

const SKEW_MS = 3_000;
const SEED = 20261124;

/** The logs of one incident: name and lines. */
function logsIn(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.log.gz'))
    .toSorted()
    .map((name) => ({
      name: name.slice(0, -'.gz'.length),
      lines: gunzipSync(readFileSync(join(folder, name)))
        .toString('latin1')
        .split('\n')
        .slice(0, -1),
    }));
}

/** Runs something on a folder that holds these logs. */
async function inFolder(logs, run) {
  const folder = mkdtempSync(join(tmpdir(), 'meshtail-variant-'));
  try {
    for (const { name, lines } of logs)
      writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''), 'latin1');
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** mulberry32: the same numbers every time. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/;
const shifted = (line) =>
  line.replace(TIME, (time) => {
    const digits = time.length - '2026-01-01T00:00:00.Z'.length;
    const later = new Date(Date.parse(time) + SKEW_MS).toISOString();
    return digits <= 3 ? later : `${later.slice(0, -1)}${time.slice(23)}`;
  });
/** Whose app is called: its proxy is a server's. */
const serves = ({ lines }) =>
  lines.some((line) => /inbound\||direction="?inbound|\tinfo\tztunnel/.test(line));

const skewedBy = (logs) => logs.map((log) => (serves(log) ? { ...log, lines: log.lines.map(shifted) } : log));

function thinnedOut(logs) {
  const next = random(SEED);
  return logs.map(({ name, lines }) => ({ name, lines: lines.filter(() => next() >= 0.1) }));
}

const poured = (logs) => [{ name: 'access.log', lines: logs.flatMap(({ lines }) => lines) }];

/** Whether one side of a hop can be missing. */
export const isOfSeveralProxies = (folder) =>
  readdirSync(folder).filter((name) => name.endsWith('.log.gz')).length > 1;

/** @returns each variant of an incident, with whether the answer is right; `without` by the apps that are missing. */
export async function variantsOf(folder, id, truth) {
  const logs = logsIn(folder);
  const scored = (made) =>
    inFolder(made, async (of) => {
      const score = await scoreOf(of, id, truth);
      return { named: score.named, confidence: score.confidence, right: isRight(score) };
    });
  const skewed = await scored(skewedBy(logs));
  const thinned = await scored(thinnedOut(logs));
  const unnamed = await scored(poured(logs));
  const without = {};
  for (const one of truth.without ?? []) {
    const rest = logs.filter(({ name }) => !one.remove.includes(name.slice(0, -'.log'.length)));
    without[appsOf(one.remove)] = await inFolder(rest, (made) => oneSide(made, one));
  }
  return { skewed, thinned, unnamed, without };
}

/** `orders-7d9f-x2k4q` is of `orders`. */
const appsOf = (pods) => [...new Set(pods.map((pod) => pod.replace(/(?:-[^-]+){1,2}$/, '')))].join('+');

/** All answers by what the variant is called. */
export const answersOf = ({ skewed, thinned, unnamed, without }) => ({
  '3 s apart': skewed,
  'a tenth lost': thinned,
  'pods unnamed': unnamed,
  ...Object.fromEntries(Object.entries(without).map(([apps, answer]) => [`without ${apps}`, answer])),
});

/** The same for people to read and to compare: `insufficient-vantage, high: right, asks for the log`. */
export const inWords = (variants) =>
  Object.fromEntries(
    Object.entries(answersOf(variants)).map(([variant, { named, confidence, right, asks = null }]) => [
      variant,
      `${named}${confidence ? `, ${confidence}` : ''}: ${right ? 'right' : 'WRONG'}${asks === null ? '' : asks ? ', asks for the log' : ', asks for NOTHING'}`,
    ]),
  );

const isRight = ({ cause, quiet }) => (quiet === null ? cause === true || cause === 'also' : quiet);

/** `-` among the right answers: nothing to say is right. */
async function oneSide(folder, { right, asks }) {
  const { report } = await reportOn(folder);
  const [first] = report.incidents;
  const named = first?.cause ?? '-';
  return {
    named,
    confidence: first?.confidence ?? null,
    right: right.includes(named),
    asks: asks.length === 0 || !first ? null : asks.some((name) => asked(first).includes(name)),
  };
}

/** Where an incident says whose log is missing: what to look at next, and the findings of its example. */
function asked({ next, journey }) {
  const findings = (journey?.findings ?? []).filter(({ kind }) => kind === 'log-missing');
  const steps = next.filter(({ purpose, command }) => /\blogs?\b/.test(`${purpose} ${command}`));
  return [
    ...findings.map(({ text }) => text),
    ...steps.map(({ purpose, command }) => `${purpose} ${command}`),
  ].join('\n');
}

/** Counts over incidents: right of all, by variant. */
export function variantTotals(all) {
  const of = (answers) => `${answers.filter(({ right }) => right).length} of ${answers.length}`;
  const without = all.flatMap((one) => Object.values(one.without));
  const asking = without.filter(({ asks }) => asks !== null);
  return {
    incidents: all.length,
    '3 s apart': of(all.map((one) => one.skewed)),
    'a tenth lost': of(all.map((one) => one.thinned)),
    'pods unnamed': of(all.map((one) => one.unnamed)),
    'one side missing': of(without),
    'of these, in so many incidents': all.filter((one) => Object.keys(one.without).length > 0).length,
    'asks for the missing log by name': `${asking.filter(({ asks }) => asks).length} of ${asking.length}`,
  };
}
