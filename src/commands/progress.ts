import type { Environment } from './environment.js';

/** Shorter inputs are read before anybody wonders. */
const SHOWN_FROM_BYTES = 64e6;
const SHOWN_AFTER_MS = 500;
const EVERY_MS = 200;

/** `1.2 of 3.6 GB, 33%, 410 MB/s, 6 s left`; without a total only what was read, and how fast. */
export function progressText(done: number, total: number | null, elapsedMs: number): string {
  const perSecond = done / Math.max(1, elapsedMs / 1000);
  const rate = `${size(perSecond)}/s`;
  if (total === null) return `reading: ${size(done)}, ${rate}`;
  const left = done === 0 ? '?' : seconds(Math.ceil((total - done) / perSecond));
  const percent = Math.floor((100 * done) / Math.max(1, total));
  return `reading: ${size(done)} of ${size(total)}, ${percent}%, ${rate}, ${left} left`;
}

/** Tells on a terminal how far reading is, where it takes long; the last call wipes it away. */
export function progressOf(
  { status }: Pick<Environment, 'status'>,
  now: () => number = () => performance.now(),
): { readonly onProgress: (done: number, total: number | null) => void; readonly end: () => void } {
  if (!status) return { onProgress: () => undefined, end: () => undefined };
  const begun = now();
  let due = begun + SHOWN_AFTER_MS;
  let shown = false;
  return {
    onProgress: (done, total) => {
      if (now() < due || (total ?? Infinity) < SHOWN_FROM_BYTES) return;
      due = now() + EVERY_MS;
      shown = true;
      status(progressText(done, total, now() - begun));
    },
    end: () => {
      if (shown) status('');
    },
  };
}

function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return `${Math.round(bytes / 1e6)} MB`;
}

function seconds(count: number): string {
  return count < 90 ? `${count} s` : `${Math.ceil(count / 60)} min`;
}
