import { clock, percent, thousands } from '../diagnosis/words.js';
import type { Fact } from '../diagnosis/hypothesis.js';

/** `08:13:54`. */
export const clockSeconds = (ms: number): string => clock(ms).slice(0, 8);

/** `16.7`, `<0.1`, `100`: a share in per cent for a column; `-` where none is known. */
export function shareCell(share: number | null): string {
  if (share === null) return '-';
  const percent = 100 * share;
  if (percent === 0) return '0.0';
  if (percent < 0.05) return '<0.1';
  return percent > 99.95 ? '100' : percent.toFixed(1);
}

/** `37.7`, `1,204`: events a second for a column. */
export function rateCell(rate: number): string {
  if (rate >= 100) return thousands(rate);
  return rate > 0 && rate < 0.05 ? '<0.1' : rate.toFixed(1);
}

export const factWords = ({ text, count, of }: Fact): string =>
  `${thousands(count)} of ${thousands(of)} ${text}`;

export const failing = (failures: number, requests: number): string =>
  requests === 0 ? '0%' : percent(failures, requests);

/** A path's last part without log endings: what a file is called in a narrow place. */
export function shortName(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1).replace(/\.log(?:\.\w+)*$/, '');
  return base === '' ? name : base;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 10_000) return `${thousands(ms)} ms`;
  return ms < 600_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}
