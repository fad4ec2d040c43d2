/** Filters remembered: more are no help in finding one. */
export const MOST_SAVED = 20;

/** Newest first, each once. */
export const withSaved = (saved: readonly string[], filter: string): readonly string[] =>
  [filter, ...saved.filter((one) => one !== filter)].slice(0, MOST_SAVED);
