import { DEFAULT_MAX_LINE, ENVELOPE_KEYS } from '../../src/record/line.js';

/** What reading in bulk is told where nothing is asked of the lines. */
export const job = {
  maxLine: DEFAULT_MAX_LINE,
  envelopeKeys: ENVELOPE_KEYS,
  format: undefined,
  selection: { filter: [], include: [], exclude: [] },
  since: null,
  until: null,
  requestId: undefined,
};
