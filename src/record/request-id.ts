/** Where a UUID holds Envoy's trace decision, so that two proxies may write it differently. */
export const TRACE_CHARACTER = 14;

/** An id without what proxies may write differently. */
export function maskedRequestId(id: string): string {
  return id.length === 36 ? `${id.slice(0, TRACE_CHARACTER)}x${id.slice(TRACE_CHARACTER + 1)}` : id;
}
