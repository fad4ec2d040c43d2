import type { StreamOrigin } from '../record/origin.js';

/** Where bytes come from, one stream of lines each. */
export interface Source {
  /** What a report calls it: a path, a pod, `-`. */
  readonly name: string;
  readonly origin: StreamOrigin;
  /** Pipes and live streams arrive as they please; files are read in large chunks. */
  readonly kind: 'file' | 'pipe';
  /** @throws MeshtailError where it cannot be opened or read on; what was read before has been yielded. */
  open(): AsyncIterable<Buffer>;
}
