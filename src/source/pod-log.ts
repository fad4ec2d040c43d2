import type { IncomingMessage } from 'node:http';
import { ApiError, type ClusterClient, type Query } from '../cluster/client.js';
import type { Pod } from '../cluster/pods.js';
import { pathOf } from '../cluster/targets.js';
import { MeshtailError } from '../errors.js';
import { ResumedLines } from '../framing/resume.js';

/** A stamp and a blank: as much as is read of a line whose stamp alone is asked for. */
const STAMP_BYTES = 40;

/** Why there is no log, or no more of it. */
export type NoLog =
  | { readonly kind: 'gone' | 'starting' | 'no-previous' }
  | { readonly kind: 'broken'; readonly reason: string; readonly waitMs?: number }
  | { readonly kind: 'refused'; readonly error: MeshtailError };

/** One container's log, as the API gives it out; each line with its stamp in front. */
export class PodLog {
  readonly #path: string;

  constructor(
    readonly client: ClusterClient,
    readonly pod: Pod,
    readonly container: string,
    readonly maxLine: number,
  ) {
    this.#path = `${pathOf('Pod', pod.namespace, pod.name)}/log`;
  }

  /** @throws ApiError, MeshtailError; `noLogOf` says what they mean */
  open(query: Query, signal: AbortSignal): Promise<IncomingMessage> {
    return this.client.stream(this.#path, { container: this.container, timestamps: true, ...query }, signal);
  }

  /** Stamp of the last line, ms since the Unix epoch; NaN where there is none. @throws as `open` */
  newest(signal: AbortSignal): Promise<number> {
    return this.#stamp({ tailLines: 1 }, signal);
  }

  /** Stamp of the first line that there still is, from the second on in which `at` lies. @throws as `open` */
  firstFrom(at: number, signal: AbortSignal): Promise<number> {
    return this.#stamp({ sinceTime: wholeSecond(at), limitBytes: STAMP_BYTES }, signal);
  }

  async #stamp(query: Query, signal: AbortSignal): Promise<number> {
    const response = await this.open(query, signal);
    const lines = new ResumedLines(this.maxLine);
    for await (const chunk of response) lines.push(chunk as Buffer);
    // A line that was cut behind its stamp has no newline.
    lines.push(NEWLINE);
    return lines.last;
  }
}

const NEWLINE = Buffer.from('\n');

/** The API takes whole seconds. */
export function wholeSecond(at: number): string {
  return new Date(Math.floor(at / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

/** What an error of a request for a log means. @throws what is neither the server's nor the way's */
export function noLogOf(error: unknown, pod: Pod): NoLog {
  if (error instanceof MeshtailError) {
    return error.code === 'cluster-unreachable'
      ? { kind: 'broken', reason: error.message }
      : { kind: 'refused', error };
  }
  if (!(error instanceof ApiError)) throw error;
  const { status, message, retryAfterMs } = error;
  switch (status) {
    // A pod that has no node yet (kube-apiserver 1.36, observed).
    case 204:
      return { kind: 'starting' };
    case 400:
      if (STARTING.test(message)) return { kind: 'starting' };
      if (/previous terminated container/i.test(message)) return { kind: 'no-previous' };
      return {
        kind: 'refused',
        error: new MeshtailError(
          'log-refused',
          `cannot read logs of ${pod.namespace}/${pod.name}: ${message}`,
        ),
      };
    case 404:
      return { kind: 'gone' };
    case 403:
      return { kind: 'refused', error: forbidden('get', 'pods/log', pod.namespace, message) };
    default:
      return {
        kind: 'broken',
        reason: `${status} ${message}`,
        ...(retryAfterMs !== null && { waitMs: retryAfterMs }),
      };
  }
}

const STARTING = /waiting to start|PodInitializing|ContainerCreating|is not available|not been started/i;

/** What was forbidden, and the Role to ask for. */
export function forbidden(
  verb: string,
  resource: string,
  namespace: string | null,
  message: string,
): MeshtailError {
  const kind = namespace === null ? 'ClusterRole' : 'Role';
  const where = namespace === null ? '' : `\n  namespace: ${namespace}`;
  return new MeshtailError('forbidden', `forbidden: ${message}`, {
    hint: [
      `ask for ${verb} on ${resource}; all that reading logs needs:`,
      'apiVersion: rbac.authorization.k8s.io/v1',
      `kind: ${kind}`,
      `metadata:\n  name: meshtail${where}`,
      'rules:',
      '- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}',
      '- {apiGroups: [""], resources: [pods/log], verbs: [get]}',
      ...(resource.startsWith('pods')
        ? []
        : [`- {apiGroups: [""], resources: [${resource}], verbs: [${verb}]}`]),
    ].join('\n'),
  });
}
