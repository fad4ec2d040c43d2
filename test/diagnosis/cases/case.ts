import type { Fault } from '../../../src/diagnosis/hypothesis.js';
import { healthy, type Logged, type Pod, type Service } from '../traffic.js';

export type Lines = readonly (Logged | readonly Logged[])[];

/** One cause: an incident that it alone explains, and what looks like it without being it. */
export interface CauseCase {
  readonly cause: string;
  /** The same incident in each form in which proxies log it. */
  readonly incident: Readonly<Record<string, () => Lines>>;
  /** What the place of fault must hold. */
  readonly at: Fault;
  /**
   * Where a look is shared: the cause that is named first instead, and why. Then this one stands among its alternatives,
   * or is itself named with the word `possible`.
   */
  readonly behind?: { readonly cause: string; readonly why: string };
  /** Harmless: looked at and dismissed. */
  readonly dismissed?: boolean;
  /** The nearest lookalike, in what differs; `named` is what must be said of it, `null`: no incident. */
  readonly but: readonly {
    readonly differs: string;
    readonly lines: () => Lines;
    readonly named: string | null;
  }[];
}

const SUFFIXES = ['kq2lx', 'b7zwd', 'v4n9c', 'tm8hf', 'gx5rp'];

/** A service with one pod per address. */
export function service(name: string, namespace: string, port: number, ...ips: readonly string[]): Service {
  const pods = ips.map((ip, i) => ({ name: `${name}-6d9c7b5f48-${SUFFIXES[i]}`, ip }));
  return { name, namespace, port, pods };
}

export function caller(name: string, ip: string): Pod {
  return { name: `${name}-5f7c94b8d6-2hw9s`, ip };
}

/** Good traffic of several callers, interleaved. */
export function background(
  callers: readonly Pod[],
  to: Service,
  options: Parameters<typeof healthy>[2] = {},
): readonly Logged[] {
  return callers.flatMap((one, i) => healthy(one, to, { ...options, from: (options.from ?? 0) + i * 137 }));
}
