import type { Kind, Row } from '../aggregate/row.js';
import { networkOf } from './traits.js';

/** What lines are told apart by. */
export interface Partition {
  readonly name: string;
  readonly valueOf: (row: Row) => string | null;
  /** The same, where it is one value for all lines of a kind. */
  readonly ofKind?: (kind: Kind) => string | null;
}

const byKind = (name: string, ofKind: (kind: Kind) => string | null): Partition => ({
  name,
  valueOf: ofKind,
  ofKind,
});

/** By what the failing are set apart from the healthy: one bad value among good ones is the strongest fact there is. */
export const PARTITIONS: readonly Partition[] = [
  { name: 'upstream host', valueOf: (row) => row.upstreamIp },
  { name: 'path', valueOf: (row) => row.pathTemplate },
  { name: 'user agent', valueOf: (row) => row.userAgent },
  { name: 'caller', valueOf: (row) => row.peer },
  byKind('method', ({ method }) => method),
  byKind('route', ({ route }) => route),
  byKind('subset', ({ cluster }) => cluster?.subset ?? null),
  byKind('server name', ({ serverName }) => serverName),
  byKind('authority', ({ authority }) => authority),
  byKind('protocol', ({ protocol }) => protocol),
  byKind('pod', ({ pod }) => pod),
  { name: 'network', valueOf: (row) => (row.upstreamIp === null ? null : networkOf(row.upstreamIp)) },
];
