/** The known word most like a misspelt one; `undefined` where none is near. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const [best] = known
    .map((one) => ({ one, distance: editDistance(wanted, one) - (one[0] === wanted[0] ? 0.5 : 0) }))
    .toSorted((a, b) => a.distance - b.distance || a.one.length - b.one.length);
  return best && best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.one : undefined;
}

/** Edits from one word to the other. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
