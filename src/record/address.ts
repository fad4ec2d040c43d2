/** The IP (or unix path, or internal listener's endpoint) of an Envoy address, without its port and brackets. */
export function hostOf(address: string): string {
  const inner = address.startsWith('envoy://')
    ? address.slice(address.indexOf('/', 8) + 1)
    : withoutScheme(address);
  if (inner.startsWith('[')) return inner.slice(1, Math.max(1, inner.indexOf(']')));
  const colon = inner.lastIndexOf(':');
  return colon > 0 && inner.indexOf(':') === colon ? inner.slice(0, colon) : inner;
}

/** The port of an Envoy address; `null` where it has none. */
export function portOf(address: string): number | null {
  const port = /:(\d{1,5})$/.exec(address)?.[1];
  return port === undefined ? null : Number(port);
}

/** Whether a text is an IP with a port, as `10.0.0.7:41234` or `[fd00::7]:41234`. */
export const isAddress = (text: string): boolean =>
  /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}$/i.test(text);

/** Envoy before 1.9 printed `tcp://10.0.0.1:80`. */
function withoutScheme(address: string): string {
  return address.startsWith('tcp://') ? address.slice(6) : address;
}

/** Whether a text is an IP without a port; IPv6 with brackets or without. */
export const isIp = (text: string): boolean =>
  /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) ||
  /^\[[0-9a-f:.]+\]$/i.test(text) ||
  /^[0-9a-f]*:[0-9a-f:]+$/i.test(text);

/** Whether an address lies in the ranges that a cluster's pods, nodes and services usually take (RFC 1918, 6598, 4193, loopback). */
export function isPrivate(ip: string): boolean {
  if (ip.includes(':')) return /^(?:f[cd]|fe80|::1?$)/i.test(ip);
  const [a, b] = ip.split('.').map(Number);
  if (a === undefined || b === undefined || Number.isNaN(a)) return false;
  return (
    a === 10 ||
    a === 127 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 100 && b >= 64 && b < 128)
  );
}
