const TRACE_CHARACTER = 14;

/** Envoy keeps its trace decision in character 14 of a UUID, so two proxies may write it differently. */
export function maskedRequestId(id: string): string {
  return id.length === 36 ? `${id.slice(0, TRACE_CHARACTER)}x${id.slice(TRACE_CHARACTER + 1)}` : id;
}
