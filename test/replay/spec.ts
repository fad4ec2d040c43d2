import type { Spec } from '../../src/view/snapshot.js';

/** All that was read, to its end. */
export const WHOLE: Spec = {
  now: null,
  playing: false,
  window: { last: null, range: null },
  filter: '',
  cells: 10,
  pane: { kind: 'none' },
};
