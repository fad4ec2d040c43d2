/**
 * How many of some things in an order come before: those of which it holds, which stand first.
 * @param isBefore asked of their numbers, from 0
 */
export function countBefore(length: number, isBefore: (number: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The number that would stand at a place if these were sorted, in time that grows with their count; moves them about. */
export function nthOf(numbers: Float64Array, place: number): number {
  for (let [from, to] = [0, numbers.length - 1]; from < to;) {
    // Whoever wrote the numbers cannot know which one is taken.
    const pivot = numbers[from + Math.floor(Math.random() * (to - from + 1))]!;
    let [low, high] = [from, to];
    while (low <= high) {
      while (numbers[low]! < pivot) low++;
      while (numbers[high]! > pivot) high--;
      if (low > high) break;
      const lower = numbers[high]!;
      numbers[high--] = numbers[low]!;
      numbers[low++] = lower;
    }
    if (place > high && place < low) break;
    if (place <= high) to = high;
    else from = low;
  }
  return numbers[place]!;
}
