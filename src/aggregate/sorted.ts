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
