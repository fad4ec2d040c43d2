/** A value as JSON can hold it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Whether the last byte that is no blank closes an object: of JSON that was cut, this costs less than a parser's error. */
export function endsObject(bytes: Uint8Array, start: number, end: number): boolean {
  let last = end - 1;
  while (last > start && isBlank(bytes[last]!)) last--;
  return last > start && bytes[last] === 125;
}

const isBlank = (byte: number): boolean => byte === 32 || byte === 9 || byte === 10 || byte === 13;
