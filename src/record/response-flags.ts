import { readData } from '../paths.js';
import { boundedCache } from './bounded-cache.js';

/** Flags as logged, in order, unknown ones kept. Order is not stable across Envoy versions: compare as a set. */
export type FlagSet = readonly string[];

/** What `data/response-flags.json` says of one flag. */
export interface ResponseFlag {
  readonly short: string;
  readonly long: string;
  readonly protocols: readonly string[];
  readonly typical_codes: readonly number[];
  readonly fault: string;
  readonly meaning: string;
  readonly tcp_meaning: string | null;
  readonly typical_details: readonly string[];
  readonly since_envoy: string;
  readonly look_next: string;
}

const NONE: FlagSet = Object.freeze([]);

/** `"UF,URX"` → `["UF", "URX"]`; `"-"` and `""` → none. */
export const parseFlags = boundedCache<FlagSet>((text) =>
  text === '-' || text === ''
    ? NONE
    : Object.freeze(text.split(',').filter((flag) => flag !== '' && flag !== '-')),
);

/** One text for a set of flags, whatever their order. */
export function flagSetKey(flags: FlagSet): string {
  return flags.length < 2 ? (flags[0] ?? '') : [...new Set(flags)].toSorted().join(',');
}

/** Flags that say how a reply travelled, not that this proxy made it: delayed by a fault filter, or all retries used. */
export const MODIFIER_FLAGS: ReadonlySet<string> = new Set(['DI', 'URX']);

let table: ReadonlyMap<string, ResponseFlag> | undefined;

/** All core flags by their short name (Envoy v1.40 source/common/stream_info/utility.h). */
export function responseFlags(): ReadonlyMap<string, ResponseFlag> {
  const data = (): { flags: ResponseFlag[] } => readData('response-flags.json') as { flags: ResponseFlag[] };
  return (table ??= new Map(data().flags.map((flag) => [flag.short, flag])));
}
