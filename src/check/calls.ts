import { calledHost, type Host } from './registry.js';
import { appContainers, workloads, type Workload } from './workloads.js';
import { perWorld, type World } from './world.js';

/** A workload's settings name a host of the registry: it means to call it. */
export interface Call {
  readonly caller: Workload;
  readonly host: Host;
  /** `null` where the setting names none and the scheme implies none. */
  readonly port: number | null;
  /** `spec.containers[app].env[LEDGER_URL]`. */
  readonly field: string;
  readonly value: string;
  /** `http`, `https`, `grpc`…; `null` for a bare `host:port`. */
  readonly scheme: string | null;
}

/** A call whose host the registry does not know. */
export interface UnknownCall extends Omit<Call, 'host'> {
  readonly host: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  http: 80,
  https: 443,
  grpc: 80,
  postgres: 5432,
  postgresql: 5432,
  mysql: 3306,
  redis: 6379,
  mongodb: 27017,
  amqp: 5672,
  nats: 4222,
};
const URL_FORM =
  /^(?:jdbc:)?([a-z][a-z0-9+.-]*):\/\/(?:[^/@\s]*@)?([a-z0-9][a-z0-9.-]*)(?::(\d{1,5}))?(?:[/?#]|$)/i;
const HOST_AND_PORT = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})$/i;
const SERVICE_HOST = /^[a-z0-9-]+\.[a-z0-9-]+\.svc(?:\.[a-z0-9.-]+)?\.?$/i;

interface Address {
  readonly scheme: string | null;
  readonly host: string;
  readonly port: number | null;
}

/** Only what is plainly an address counts: a URL, `host:port`, or a name under `.svc`. Commas separate several. */
export function addressesIn(text: string): readonly Address[] {
  return text.split(/[,\s;]+/).flatMap((part): readonly Address[] => {
    const url = URL_FORM.exec(part);
    if (url) {
      const scheme = url[1]!.toLowerCase();
      return [{ scheme, host: url[2]!, port: url[3] ? Number(url[3]) : (DEFAULT_PORTS[scheme] ?? null) }];
    }
    const pair = HOST_AND_PORT.exec(part);
    if (pair) return [{ scheme: null, host: pair[1]!, port: Number(pair[2]) }];
    return SERVICE_HOST.test(part) ? [{ scheme: null, host: part, port: null }] : [];
  });
}

const found = perWorld(
  (world): { readonly known: readonly Call[]; readonly unknown: readonly UnknownCall[] } => {
    const known: Call[] = [];
    const unknown: UnknownCall[] = [];
    for (const caller of workloads(world)) {
      for (const container of appContainers(caller.spec)) {
        for (const [name, value] of container.env) {
          for (const { scheme, host, port } of addressesIn(value)) {
            const field = `spec.containers[${container.name}].env[${name}]`;
            const target = calledHost(world, host, caller.namespace);
            if (target) known.push({ caller, host: target, port, field, value, scheme });
            else if (!isLocal(host))
              unknown.push({ caller, host: host.toLowerCase(), port, field, value, scheme });
          }
        }
      }
    }
    return { known, unknown };
  },
);

/** The own pod, and addresses in numbers, which no registry names. */
const isLocal = (host: string): boolean =>
  host === 'localhost' || /^\d+(?:\.\d+){3}$/.test(host) || !/[a-z]/i.test(host);

/** Who means to call whom, as far as the pods' own settings tell. */
export const calls = (world: World): readonly Call[] => found(world).known;

export const unknownCalls = (world: World): readonly UnknownCall[] => found(world).unknown;

const byHost = perWorld((world) => {
  const index = new Map<string, Call[]>();
  for (const call of calls(world)) index.set(call.host.name, [...(index.get(call.host.name) ?? []), call]);
  return index;
});

export const callsTo = (world: World, host: string): readonly Call[] => byHost(world).get(host) ?? [];
