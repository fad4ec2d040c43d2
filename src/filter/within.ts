import type { Filter } from './filter.js';

/** A filter that also asks for a start time from `since` to `until`, ms since the Unix epoch; `null`: no such bound. */
export function within(
  filter: Filter | undefined,
  since: number | null,
  until: number | null,
): Filter | undefined {
  if (since === null && until === null) return filter;
  const from = since ?? -Infinity;
  const to = until ?? Infinity;
  return {
    text: filter?.text ?? '',
    asksWho: filter?.asksWho ?? false,
    admits: (verdict) => filter?.admits(verdict) ?? true,
    matches: (record, context) => {
      const at = record.startTime();
      return at >= from && at <= to && (!filter || filter.matches(record, context));
    },
  };
}
