import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connection } from '../../src/cluster/kubeconfig.js';

/*
 * An API server of which a test says what it answers, with port-forward over WebSocket as far as one port goes: two channels,
 * 0 for data and 1 for errors, each of which begins with the port's number
 * (kubernetes 1.36 staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go).
 */

/** What a pod does with what it is sent. */
export interface InPod {
  readonly path: string;
  readonly port: number;
  readonly sent: string;
  data(text: string): void;
  error(text: string): void;
  close(): void;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export interface ForwardingServer {
  readonly connection: Connection;
  /** `METHOD /path?query` of everything that was asked. */
  readonly asked: string[];
  close(): void;
}

export async function forwardingServer(
  answer: (path: string, query: URLSearchParams) => Answer,
  pod: (request: InPod) => void = ({ close }) => close(),
  forward: (path: string) => number = () => 101,
): Promise<ForwardingServer> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const url = new URL(request.url!, 'http://api');
    const { status, body } = answer(url.pathname, url.searchParams);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
  });
  server.on('upgrade', (request, socket: Duplex) => {
    sockets.add(socket);
    socket.on('error', () => {});
    asked.push(`${request.method} ${request.url}`);
    const url = new URL(request.url!, 'http://api');
    const status = forward(url.pathname);
    if (status !== 101) return socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`,
    );
    const port = Number(url.searchParams.get('ports'));
    const number = Buffer.from([port & 255, port >> 8]);
    for (const channel of [0, 1]) socket.write(frame(Buffer.concat([Buffer.from([channel]), number])));
    const send = (channel: number, text: string): void => {
      socket.write(frame(Buffer.concat([Buffer.from([channel]), Buffer.from(text)])));
    };
    let sent = '';
    socket.on('data', (bytes: Buffer) => {
      // A close, by its opcode.
      if ((bytes[0]! & 15) === 8) return;
      sent += unmasked(bytes).subarray(1).toString('utf8');
      if (!sent.endsWith('\r\n\r\n')) return;
      const path = sent.split(' ')[1]!;
      pod({
        path,
        port,
        sent,
        data: (text) => send(0, text),
        error: (text) => send(1, text),
        close: () => socket.end(),
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const connection: Connection = {
    context: 'test',
    server: new URL(`http://127.0.0.1:${port}`),
    namespace: 'shop',
    user: 'me',
    proxy: null,
    requestOptions: () => Promise.resolve({}),
    renew: () => {},
    refusal: () => {
      throw new Error('not asked');
    },
    transferable: () => {
      throw new Error('not asked');
    },
  };
  return {
    connection,
    asked,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A whole binary frame, as a server sends it (RFC 6455, 5.2). */
function frame(payload: Buffer): Buffer {
  const length = payload.length;
  const head =
    length < 126 ? Buffer.from([0x82, length]) : Buffer.from([0x82, 126, length >> 8, length & 255]);
  return Buffer.concat([head, payload]);
}

/** The payload of a whole masked frame; requests are short. */
function unmasked(bytes: Buffer): Buffer {
  const short = bytes[1]! & 127;
  const start = short === 126 ? 4 : 2;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const mask = bytes.subarray(start, start + 4);
  const payload = Buffer.from(bytes.subarray(start + 4, start + 4 + length));
  for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i % 4]!;
  return payload;
}
