import type { Row } from '../aggregate/rows.js';
import { networkOf } from './traits.js';

/** By what the failing are set apart from the healthy: one bad value among good ones is the strongest fact there is. */
export const PARTITIONS: readonly (readonly [string, (row: Row) => string | null])[] = [
  ['upstream host', (row) => row.upstreamIp],
  ['path', (row) => row.pathTemplate],
  ['user agent', (row) => row.userAgent],
  ['caller', (row) => row.peer],
  ['method', (row) => row.method],
  ['route', (row) => row.route],
  ['subset', (row) => row.cluster?.subset ?? null],
  ['server name', (row) => row.serverName],
  ['authority', (row) => row.authority],
  ['protocol', (row) => row.protocol],
  ['pod', (row) => row.pod],
  ['network', (row) => (row.upstreamIp === null ? null : networkOf(row.upstreamIp))],
];
