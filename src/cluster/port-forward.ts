import { request } from 'node:http';
import { Duplex, PassThrough, Writable } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
import type { PodName } from './cluster.js';
import type { Connection } from './kubeconfig.js';

/** Why a page behind a forwarded port could not be had. */
export class PortForwardError extends Error {
  constructor(
    message: string,
    /** The API server's HTTP status where it refused to forward; `null`: it forwarded, and the pod did not answer. */
    readonly status: number | null,
  ) {
    super(message);
    this.name = 'PortForwardError';
  }
}

const HANDSHAKE_MS = 10_000;
/** So long without a byte nobody answers; a large configuration may take longer as a whole. */
const SILENCE_MS = 8_000;
/** No page of a proxy that is worth reading is larger. */
const MOST_BYTES = 96 * 1024 * 1024;
const MOST_ERROR_TEXT = 500;

/**
 * GETs one page of a server inside a pod, on the pod's loopback, through the API server's port-forward.
 * @throws PortForwardError
 */
export async function getFromPod(
  connection: Connection,
  pod: PodName,
  port: number,
  path: string,
  { signal, silenceMs = SILENCE_MS }: { readonly signal?: AbortSignal; readonly silenceMs?: number } = {},
): Promise<string> {
  const forwarded = await forward(connection, pod, port);
  try {
    return await page(forwarded.stream, path, silenceMs, signal);
  } catch (error) {
    if (error instanceof PortForwardError || signal?.aborted) throw error;
    throw new PortForwardError(forwarded.trouble() || reasonOf(error as NodeJS.ErrnoException), null);
  } finally {
    forwarded.close();
  }
}

/** What the kubelet puts before the reason (kubernetes 1.36 pkg/kubelet, cri-streaming/portforward). */
const FORWARDING = /^error forwarding port \d+ to pod [^,]*, uid [^:]*: /;

interface Forwarded {
  readonly stream: Duplex;
  /** What the kubelet said on the channel for errors. */
  trouble(): string;
  close(): void;
}

async function forward(connection: Connection, pod: PodName, port: number): Promise<Forwarded> {
  try {
    return await open(connection, pod, port);
  } catch (error) {
    if (!(error instanceof PortForwardError) || error.status !== 401) throw error;
    connection.renew();
    return open(connection, pod, port);
  }
}

async function open(connection: Connection, { namespace, name }: PodName, port: number): Promise<Forwarded> {
  const options = await connection.requestOptions();
  // Alone, without the half second and the memory of the library's generated models.
  const { PortForward } = await import('@kubernetes/client-node/dist/portforward.js');
  const config = {
    getCurrentCluster: () => ({ server: connection.server.href.replace(/\/$/, '') }),
    applyToHTTPSOptions: (into: object) =>
      Promise.resolve(Object.assign(into, options, { handshakeTimeout: HANDSHAKE_MS })),
  } as unknown as KubeConfig;
  const toPod = new PassThrough();
  const fromPod = new PassThrough();
  // What comes after an end is nobody's any more.
  for (const end of [toPod, fromPod]) end.on('error', () => {});
  let trouble = '';
  const errors = new Writable({
    write(chunk: Buffer, _encoding, done) {
      trouble = (trouble + chunk.toString('utf8')).slice(0, MOST_ERROR_TEXT);
      // Nothing comes after it, and not every kubelet closes.
      if (trouble !== '') fromPod.end();
      done();
    },
  });
  let socket: { addEventListener(event: string, listener: () => void): void; close(): void };
  try {
    socket = (await new PortForward(config).portForward(
      encodeURIComponent(namespace),
      encodeURIComponent(name),
      [port],
      fromPod,
      errors,
      toPod,
    )) as unknown as typeof socket;
  } catch (error) {
    throw refusal(error as { message?: string });
  }
  for (const end of ['close', 'error']) socket.addEventListener(end, () => fromPod.end());
  return {
    stream: Duplex.from({ readable: fromPod, writable: toPod }),
    trouble: () => trouble.trim().replace(FORWARDING, ''),
    close: () => socket.close(),
  };
}

/** The library gives the status in a sentence, and nothing of what the API server said beside it. */
function refusal({ message = 'no connection' }: { readonly message?: string }): PortForwardError {
  const status = /Unexpected server response: (\d{3})/.exec(message)?.[1];
  if (status === undefined) return new PortForwardError(message, null);
  const words: Readonly<Record<string, string>> = {
    401: 'not authenticated',
    403: 'forbidden',
    404: 'the pod is gone',
  };
  return new PortForwardError(words[status] ?? `the API server answered ${status}`, Number(status));
}

function page(stream: Duplex, path: string, silenceMs: number, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        method: 'GET',
        path,
        headers: { host: 'localhost', connection: 'close' },
        createConnection: () => stream,
        ...(signal && { signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          quiet.refresh();
          length += chunk.length;
          if (length > MOST_BYTES) {
            asked.destroy(
              new PortForwardError(`the answer is larger than ${MOST_BYTES / 1024 / 1024} MiB`, null),
            );
          }
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode !== 200) {
            reject(new PortForwardError(`answered ${response.statusCode}`, null));
          } else if (length === 0) reject(new PortForwardError('the answer is empty', null));
          else resolve(Buffer.concat(chunks).toString('utf8'));
        });
      },
    );
    const quiet = setTimeout(
      () => asked.destroy(new PortForwardError(`no answer within ${silenceMs / 1000} s`, null)),
      silenceMs,
    );
    asked.on('close', () => clearTimeout(quiet));
    asked.on('error', reject);
    asked.end();
  });
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return code === 'ECONNRESET' || /hang up|aborted/.test(message)
    ? 'the connection ended without an answer: nothing listens there, or the pod is going'
    : message;
}
