import type { Incident, NamedAddress } from './diagnose.js';
import { NO_FACTS, type AddressOwner, type Change, type ClusterFacts } from './cluster-facts.js';
import { afterWords, changesBefore, edgeOf } from './edge.js';
import type { Fact, Hypothesis } from './hypothesis.js';
import type { Told } from './journey.js';
import { withoutLookUps } from './kubectl.js';
import { ASKS_FOR_LOG } from './missing-side.js';
import type { Scene } from './scene.js';
import { least, most } from './stats.js';
import { wantedLogs } from './widening.js';

/*
 * An incident in the names of the cluster: whose an address was while it lasted, and what was changed before it began. From
 * saved logs nothing of this is known, and the incident stays as it is.
 */

/** Addresses that an incident names. */
const MOST_ADDRESSES = 50;
/** A change this long before the first line of all may have to do with what fails from there on. */
const JUST_BEFORE_MS = 60_000;
/** Changes that an incident lists, nearest first. */
const MOST_CHANGES = 5;

export function named(scene: Scene, incident: Incident): Incident {
  const { facts } = scene;
  if (facts === NO_FACTS) return incident;
  const { hypothesis } = incident;
  const rows = hypothesis.cases.flatMap((one) => one.rows);
  const names = new Names(facts, incident.onset, incident.last);
  const callers = incident.callers.map((caller, i) =>
    i < MOST_ADDRESSES ? { ...caller, value: names.textOf(caller.value) ?? caller.value } : caller,
  );
  const owned = (hypothesis.at.endpoints ?? []).flatMap((ip) => names.ownersOf(ip));
  const pods = owned.filter(({ kind }) => kind === 'pod').map(({ name }) => name);
  const at = {
    ...hypothesis.at,
    ...(pods.length > 0 && { pods: [...new Set([...(hypothesis.at.pods ?? []), ...pods])] }),
    ...(hypothesis.at.clients && {
      clients: [...new Set(hypothesis.at.clients.map((one) => names.textOf(one) ?? one))],
    }),
  };
  // Of what failed from the first line on nobody knows when it began, unless what made these very pods came just before.
  const isNear = ({ at: changed }: Change): boolean =>
    !incident.beganBeforeInput || incident.onset - changed <= JUST_BEFORE_MS;
  const changes = changesBefore(facts, edgeOf(scene, rows, at), rows)
    .filter(isNear)
    .slice(0, MOST_CHANGES);
  const [change] = changes;
  const words = names.hypothesis(hypothesis);
  return {
    ...incident,
    hypothesis: {
      ...words,
      at,
      summary: change
        ? `${words.summary} The first of them${incident.beganBeforeInput ? ' that the logs hold' : ''} began ${afterWords(incident.onset, change)}.`
        : words.summary,
    },
    others: incident.others.map((other) => names.hypothesis(other)),
    alternatives: incident.alternatives.map((one) => ({ ...one, why: names.inText(one.why) })),
    callers,
    changes,
    addresses: names.met.slice(0, MOST_ADDRESSES),
    wanted: wantedLogs(scene, hypothesis.cases),
  };
}

/** The words of a hypothesis alone, with names for addresses. */
export function namedHypothesis({ facts }: Scene, hypothesis: Hypothesis): Hypothesis {
  if (facts === NO_FACTS) return hypothesis;
  const starts = hypothesis.cases.flatMap(({ rows }) => rows.map((row) => row.start));
  return new Names(facts, least(starts), most(starts)).hypothesis(hypothesis);
}

/** What a journey's lines say, with names for addresses. */
export function namedJourney(told: Told, facts: ClusterFacts): Told {
  if (facts === NO_FACTS) return told;
  const rows = told.journey.spans.map(({ row }) => row);
  const names = new Names(facts, least(rows.map((row) => row.start)), most(rows.map((row) => row.end)));
  return { ...told, findings: told.findings.map((one) => ({ ...one, text: names.inText(one.text) })) };
}

/** An address with a port or without, as texts hold it. Times and other words with colons are none. */
const ADDRESS =
  /(the pod at )?(?<![\w.:[])\[?((?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?=[0-9a-f:]*::)[0-9a-f:]{3,39})\]?(:\d{1,5})?(?![\w/]|:\w|\.\d)/gi;

const LOGS = 'logs -c istio-proxy --since=1h';

/** Names of addresses as of a time. */
export class Names {
  readonly #met = new Map<string, readonly AddressOwner[]>();

  constructor(
    readonly facts: ClusterFacts,
    readonly from: number,
    readonly to: number,
  ) {}

  /** Those that have been asked for and have a name. */
  get met(): readonly NamedAddress[] {
    return [...this.#met].flatMap(([address, owners]) => owners.map((owner) => ({ ...owner, address })));
  }

  ownersOf(ip: string): readonly AddressOwner[] {
    let owners = this.#met.get(ip);
    if (!owners) {
      owners = this.facts.ownersOf(ip, this.from, this.to);
      if (owners.length > 0) this.#met.set(ip, owners);
    }
    return owners;
  }

  /** One owner's name, or those of all who had it, one after the other; `null`: no address, or nobody's. */
  textOf(ip: string): string | null {
    const owners = this.ownersOf(ip);
    return owners.length === 0 ? null : [...new Set(owners.map(ownerName))].join(', then ');
  }

  podNamed(name: string): AddressOwner | null {
    return this.facts.podNamed(name);
  }

  /** The pod that had the address all the while; `null`: none, or more than one. */
  podAt(ip: string): AddressOwner | null {
    const [owner, ...more] = this.ownersOf(ip);
    return owner?.kind === 'pod' && more.length === 0 ? owner : null;
  }

  inText(text: string): string {
    return text.replace(ADDRESS, (whole, pod: string | undefined, ip: string, port: string | undefined) => {
      const name = this.textOf(ip);
      return name === null ? whole : `${pod ? 'pod ' : ''}${name}${port ?? ''}`;
    });
  }

  hypothesis(one: Hypothesis): Hypothesis {
    const facts = (list: readonly Fact[]): readonly Fact[] =>
      list.map((fact) => ({ ...fact, text: this.inText(fact.text) }));
    return {
      ...one,
      title: this.inText(one.title),
      summary: this.inText(one.summary),
      why: this.inText(one.why),
      evidence: facts(one.evidence),
      against: facts(one.against),
      // Other commands keep the address that they ask for.
      next: one.next.map(({ purpose, command }) => ({
        purpose: this.inText(purpose),
        command: withoutLookUps(command, this, purpose.startsWith(ASKS_FOR_LOG) ? LOGS : undefined),
      })),
      fix: one.fix.map((text) => this.inText(text)),
    };
  }
}

const ownerName = ({ kind, name, namespace }: AddressOwner): string =>
  kind === 'pod' ? name : kind === 'node' ? `node ${name}` : `service ${name}.${namespace}`;

/** `payments-6d5f-k9x2q, deployment payments rev 42 in shop, on node-1`. */
export function ownerWords(owner: AddressOwner): string {
  const { kind, namespace, workload, node, revision } = owner;
  if (kind !== 'pod') return ownerName(owner);
  const whose = workload
    ? `${workload.kind.toLowerCase()} ${workload.name}${revision === '' ? '' : ` ${revision}`} in ${namespace}`
    : `in ${namespace}`;
  return [owner.name, whose, node === '' ? '' : `on ${node}`].filter(Boolean).join(', ');
}
