import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { MeshtailError } from '../errors.js';
import type { Environment } from './kubeconfig-files.js';

/*
 * The proxy to the API server. A cluster's proxy-url comes first and knows no exceptions; then the environment, by the
 * rules of Go's net/http: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
 */

const SCHEMES: ReadonlySet<string> = new Set(['http:', 'https:', 'socks5:', 'socks5h:']);

/** URL of the proxy for that server; `undefined`: none. */
export function proxyFor(server: URL, proxyUrl: string | undefined, env: Environment): string | undefined {
  if (proxyUrl !== undefined) return checked(proxyUrl, 'proxy-url');
  const kind = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const name = [kind, kind.toLowerCase()].find((variable) => env[variable]);
  if (name === undefined) return undefined;
  if (goesDirect(server, env['NO_PROXY'] || env['no_proxy'] || '')) return undefined;
  const value = env[name]!;
  return checked(value.includes('://') ? value : `http://${value}`, name);
}

function checked(value: string, whence: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !SCHEMES.has(url.protocol) || url.hostname === '') {
    throw new MeshtailError('proxy-invalid', `${whence} is not the address of a proxy`, {
      hint: 'http://host:port, https://host:port and socks5://host:port are understood.',
    });
  }
  // Go has the proxy resolve the name in both cases; the agent used here resolves it by itself unless told so.
  return url.protocol === 'socks5:' ? value.replace(/^socks5:/i, 'socks5h:') : value;
}

/** For messages: without the password. */
export function proxyName(proxy: string): string {
  const { protocol, host } = new URL(proxy);
  return `${protocol.replace('socks5h:', 'socks5:')}//${host}`;
}

/** Loopback never goes through a proxy of the environment; nor does what NO_PROXY lists. */
export function goesDirect(server: URL, noProxy: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || isLoopback(host)) return true;
  const port = server.port || (server.protocol === 'https:' ? '443' : '80');
  return noProxy
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .some((item) => item !== '' && matches(item, host, port));
}

function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** `*`, `10.0.0.0/8`, `10.1.2.3`, `example.com` (with all below), `.example.com` (only those below); each but `*` and networks with `:port` or without. */
function matches(item: string, host: string, port: string): boolean {
  if (item === '*') return true;
  if (item.includes('/')) return isInNetwork(item, host);
  const [, name = item, onlyPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(item) ?? [];
  if (onlyPort !== undefined && onlyPort !== port) return false;
  const wanted = name.replace(/^\[|\]$/g, '');
  if (isIP(wanted) || isIP(host)) return wanted === host;
  const suffix = wanted.replace(/^\*?\./, '');
  return host.endsWith(`.${suffix}`) || (suffix === wanted && host === wanted);
}

function isInNetwork(network: string, host: string): boolean {
  const [address = '', length = ''] = network.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const bits = Number(length);
  if (!isIP(address) || !/^\d+$/.test(length) || bits > (family === 'ipv6' ? 128 : 32)) return false;
  if (isIP(host) !== isIP(address)) return false;
  const block = new BlockList();
  block.addSubnet(address, bits, family);
  return block.check(host, family);
}
