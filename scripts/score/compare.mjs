// Compares what the program says of one incident with its truth.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { diagnose } from '../../dist/src/diagnosis/diagnose.js';
import { observe } from '../../dist/src/pipeline.js';
import { reportOf } from '../../dist/src/output/report.js';
import { resolveFiles } from '../../dist/src/source/resolve.js';

const DICTIONARY = JSON.parse(
  readFileSync(fileURLToPath(new URL('./flag-dictionary.json', import.meta.url)), 'utf8'),
).flags;
/** An onset may be this far from the injection or from the first failed request. */
const ONSET_TOLERANCE_MS = 5_000;

/** The report on a folder of logs, as an object. */
export async function reportOn(folder) {
  const { sources } = await resolveFiles([folder], () => {
    throw new Error('no stdin here');
  });
  const { observation } = await observe(sources, 1 << 20);
  const snapshot = observation.snapshot();
  return { report: reportOf(snapshot, diagnose(snapshot), '0'), snapshot };
}

export async function scoreOf(folder, id, truth) {
  const { report, snapshot } = await reportOn(folder);
  const [first, ...rest] = report.incidents;
  const isQuiet = truth.benign === true;
  const expected = [truth.cause, ...truth.also];
  return {
    id,
    recorded: truth.recording !== undefined,
    expected: truth.cause,
    named: first?.cause ?? '-',
    confidence: first?.confidence ?? null,
    cause: isQuiet ? null : causeMatch(first, truth),
    place: isQuiet ? null : placeMatch(first, truth.at_fault),
    onsetError: isQuiet || !first ? null : onsetError(first, truth),
    quiet: isQuiet ? report.incidents.length === 0 : null,
    second: truth.second ? secondMatch([first, ...rest], truth) : null,
    dictionary: isQuiet ? dictionaryCause(snapshot) === null : expected.includes(dictionaryCause(snapshot)),
  };
}

/** true: the truth's cause; 'also': one that the logs cannot separate from it. */
function causeMatch(incident, { cause, also }) {
  if (!incident) return false;
  if (incident.cause === cause) return true;
  return also.includes(incident.cause) ? 'also' : false;
}

const list = (value) => (value === null || value === undefined ? [] : Array.isArray(value) ? value : [value]);
const bare = (address) => String(address).replace(/:\d+$/, '');

/** Every named part of the place that a program can compare: service, pod, address without port, client. */
function placeMatch(incident, fault) {
  if (!incident) return false;
  const at = incident.at_fault;
  const has = (names, wanted, of = (x) => x) =>
    wanted.some((want) => (names ?? []).some((name) => name === of(want)));
  const checks = [];
  const services = list(fault.service).filter((name) => /^[\w.-]+$/.test(name));
  if (services.length > 0) checks.push(has(at.services, services));
  const pods = list(fault.pod);
  const endpoints = list(fault.endpoint);
  if (pods.length + endpoints.length > 0) {
    checks.push(
      has(at.pods, pods) ||
        has(at.clients, pods) ||
        has(at.endpoints, endpoints, bare) ||
        (pods.length === 0 && at.endpoints === undefined && endpoints.length > 2),
    );
  }
  const clients = list(fault.client).filter((name) => !/\s/.test(name));
  if (clients.length > 0)
    checks.push(has(at.clients, clients) || has(at.clients, clients, bare) || has(at.pods, clients));
  return checks.length === 0 ? null : checks.every(Boolean);
}

function onsetError(incident, truth) {
  if (truth.onset === null || incident.onset === null) return null;
  const at = Date.parse(incident.onset);
  const moments = [truth.onset, truth.client_view?.first_failure]
    .filter(Boolean)
    .map((text) => Date.parse(text));
  return Math.min(...moments.map((moment) => Math.abs(at - moment)));
}

/** The other of two overlapping incidents: named anywhere, at its place, as an incident of its own. */
function secondMatch(incidents, { second, cause, also }) {
  const first = incidents[0];
  const others = incidents.filter(
    (incident) => incident && (incident !== first || ![cause, ...also].includes(incident.cause)),
  );
  return others.some((incident) => [second.cause, ...(second.also ?? [])].includes(incident.cause));
}

/** What a dictionary would say: the most frequent flag of failing lines, first of a set; `-` for 5xx without one. */
function dictionaryCause(snapshot) {
  const counts = new Map();
  for (const row of snapshot.rows.rows) {
    if (!row.failure) continue;
    const flag = row.flags[0] ?? '-';
    counts.set(flag, (counts.get(flag) ?? 0) + 1);
  }
  const [top] = [...counts].toSorted(([, n], [, m]) => m - n);
  return top ? (DICTIONARY[top[0]] ?? null) : null;
}

export function totalsOf(results) {
  const count = (of) => results.filter(of).length;
  const faulty = results.filter(({ quiet }) => quiet === null);
  return {
    incidents: results.length,
    faults: faulty.length,
    cause: count(({ cause }) => cause === true),
    also: count(({ cause }) => cause === 'also'),
    place: count(({ place }) => place === true),
    placeAsked: count(({ place }) => place !== null),
    onsetWithin5s: count(({ onsetError: off }) => off !== null && off <= ONSET_TOLERANCE_MS),
    onsetAsked: count(({ onsetError: off }) => off !== null),
    quiet: count(({ quiet }) => quiet === true),
    quietAsked: results.length - faulty.length,
    second: count(({ second }) => second === true),
    secondAsked: count(({ second }) => second !== null),
    dictionary: count(({ dictionary }) => dictionary === true),
  };
}
