/** Remembers what a pure function said of a text; forgets all of it when it holds too many, so hostile input cannot grow it. */
export function boundedCache<T>(compute: (text: string) => T, limit = 8192): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const hit = known.get(text);
    if (hit !== undefined) return hit;
    const value = compute(text);
    if (known.size >= limit) known.clear();
    known.set(text, value);
    return value;
  };
}
