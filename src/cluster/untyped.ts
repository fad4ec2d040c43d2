/* Objects as an API server sends them: of any shape, until looked at. */

export type Tree = Readonly<Record<string, unknown>>;

/** What is no object has no fields. */
export const tree = (value: unknown): Tree =>
  typeof value === 'object' && value !== null ? (value as Tree) : {};
/** What is no list has no items. */
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const trees = (value: unknown): readonly Tree[] => list(value).map(tree);
/** What is no text is `''`. */
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
/** The fields that are text: labels, annotations. */
export const strings = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(tree(value)).filter((field): field is [string, string] => typeof field[1] === 'string'),
  );

export const metadataOf = (object: unknown): Tree => tree(tree(object)['metadata']);
export const labelsOf = (object: unknown): Readonly<Record<string, string>> =>
  strings(metadataOf(object)['labels']);
