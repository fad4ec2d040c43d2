import type { Kind, Row } from '../aggregate/row.js';
import { groupBy } from './stats.js';
import { resetReason } from './traits.js';

/** What a proxy's lines tell of its version, by what only some versions print. */
export interface VersionHint {
  readonly proxy: string;
  /** `1.38 or later`, `before 1.22`. */
  readonly envoy: string;
  readonly because: string;
}

interface Sign {
  readonly envoy: string;
  readonly because: string;
  readonly shows: (kind: Kind) => boolean;
}

// Newest first: the first sign that shows is the narrowest. Envoy release notes and Envoy 1.40, observed.
const SIGNS: readonly Sign[] = [
  {
    envoy: '1.38 or later',
    because: 'TCP sessions that the upstream resets carry UR',
    shows: (row) => !row.http && row.has('UR'),
  },
  { envoy: '1.38 or later', because: 'clients that reset a stream are DR', shows: (row) => row.has('DR') },
  {
    envoy: '1.30 or later',
    because: 'flags stand in the order in which they were set (URX,UF)',
    shows: (row) => row.http && row.flags.length > 1 && row.flags[0] === 'URX',
  },
  {
    envoy: '1.27 or later',
    because: 'connect failures are told apart (remote_connection_failure)',
    shows: (row) =>
      ['remote_connection_failure', 'local_connection_failure', 'connection_timeout'].includes(
        resetReason(row) ?? '',
      ),
  },
  {
    envoy: 'before 1.22',
    because: 'details separate the transport failure with a comma',
    shows: (row) => /^upstream_reset_\w+\{[a-z_]+,/.test(row.details ?? ''),
  },
  {
    envoy: 'before 1.27',
    because: 'connect failures are not told apart (connection_failure)',
    shows: (row) => resetReason(row) === 'connection_failure',
  },
  {
    envoy: 'before 1.30',
    because: 'flags stand in a fixed order (UF,URX)',
    shows: (row) => row.http && row.flags.length > 1 && row.flags.at(-1) === 'URX' && row.flags[0] === 'UF',
  },
];

/** One hint for each proxy whose lines show a sign. */
export function versionHints(rows: readonly Row[]): readonly VersionHint[] {
  const failing = [...new Set(rows.map(({ kind }) => kind))].filter(
    (kind) => kind.flags.length > 0 || kind.details?.startsWith('upstream_reset') === true,
  );
  return [...groupBy(failing, ({ proxy }) => proxy)].flatMap(([proxy, kinds]) => {
    const sign = SIGNS.find(({ shows }) => kinds.some(shows));
    return sign ? [{ proxy, envoy: sign.envoy, because: sign.because }] : [];
  });
}
