/** Small pieces of sentence, the same in every cause. */

export const thousands = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');

export const percent = (count: number, of: number): string =>
  of === 0 ? '0%' : `${((100 * count) / of).toFixed(count === of ? 0 : 1)}%`;

export const ofWords = (count: number, of: number): string => `${thousands(count)} of ${thousands(of)}`;

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${thousands(n)} ${n === 1 ? one : many}`;

/** `16:02:13.204` in UTC. */
export const clock = (ms: number): string =>
  Number.isFinite(ms) ? new Date(ms).toISOString().slice(11, 23) : '-';

/** `2026-11-23T08:13:54.719Z`. */
export const instant = (ms: number): string => new Date(Math.round(ms)).toISOString();

export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 1 : 0))} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Number((ms / 3_600_000).toFixed(1))} h`;
}

/** `2 s`, `4 ms to 88 ms`. */
export const range = (least: number, most: number): string =>
  span(least) === span(most) ? span(least) : `${span(least)} to ${span(most)}`;

/** `a`, `a and b`, `a, b and 3 more`. */
export function listed(items: readonly string[], most = 3): string {
  if (items.length <= 1) return items[0] ?? '';
  if (items.length <= most) return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
  return `${items.slice(0, most).join(', ')} and ${items.length - most} more`;
}

/** Text from a log for a shell command: quoted where it holds more than a plain word. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
