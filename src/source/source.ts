import type { StreamOrigin } from '../record/origin.js';

/** Where bytes come from, one stream of lines each. */
export interface Source {
  /** What a report calls it: a path, a pod, `-`. */
  readonly name: string;
  readonly origin: StreamOrigin;
  /** Files are read in large chunks, pipes arrive as they please; a followed log comes in whole lines. */
  readonly kind: 'file' | 'pipe' | 'lines';
  /** Where it lies on the disk as it is, so that parts of it can be read by themselves; packed ones do not. */
  readonly path?: string;
  /**
   * @param here unpacks in the calling thread, which then does nothing else
   * @throws MeshtailError where it cannot be opened or read on; what was read before has been yielded.
   */
  open(here?: boolean): AsyncIterable<Buffer>;
}
