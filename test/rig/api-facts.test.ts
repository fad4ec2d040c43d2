import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { LOGS, REFUSED, WRITTEN } from '../cluster/api-facts.js';
import { ask, kubectl, logFile } from './rig.js';

/*
 * What the fake API server is held to, asked of a real one: where these fail, the fake is wrong too.
 */

let pod = '';
let path = '';

function cri(lines: typeof WRITTEN): string {
  return lines.map(([time, line]) => `${time} stdout F ${line}\n`).join('');
}

function write(lines: typeof WRITTEN): void {
  mkdirSync(dirname(logFile(pod)), { recursive: true });
  writeFileSync(logFile(pod), cri(lines));
}

beforeAll(() => {
  const running = ['--field-selector=status.phase=Running', '-l', 'app=payments'];
  pod = kubectl('get', 'pods', ...running, '-o', 'jsonpath={.items[0].metadata.name}');
  path = `/api/v1/namespaces/shop/pods/${pod}/log?container=istio-proxy`;
});

/** What has come so far of an answer that goes on. */
function collect(response: IncomingMessage): () => string {
  let all = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    all += chunk;
  });
  response.on('error', () => {});
  return () => all;
}

describe('the API server', () => {
  it.each(REFUSED)('refuses $name', async ({ user = 'admin', path, answer }) => {
    const response = await ask(path(pod), user);
    const { status, ...expected } = answer(pod);
    expect(response.statusCode).toBe(status);
    const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
    expect(JSON.parse(await text(response))).toEqual({ ...head, ...expected, code: status });
  });

  it.each(LOGS)('reads a log with "%s"', async (query, expected) => {
    write(WRITTEN);
    const response = await ask(`${path}&${query}`, 'admin');
    expect([response.statusCode, await text(response)]).toEqual([200, expected]);
  });

  it('sends nothing of a followed log, not even a status, before its first line', async () => {
    write([]);
    const opening = ask(`${path}&follow=true`, 'admin');
    expect(await Promise.race([opening, sleep(1500, 'nothing')])).toBe('nothing');
    appendFileSync(logFile(pod), cri([['2026-01-02T15:04:05Z', 'first']]));
    const response = await opening;
    const read = collect(response);
    await expect.poll(read, { timeout: 5_000 }).toBe('first\n');
    response.destroy();
  });

  it('goes over to the new file, and keeps nothing of the old one', async () => {
    write([['2026-01-02T15:04:05Z', 'first']]);
    const response = await ask(`${path}&follow=true`, 'admin');
    const read = collect(response);
    await expect.poll(read, { timeout: 5_000 }).toBe('first\n');
    renameSync(logFile(pod), `${logFile(pod)}.20260102-150406`);
    writeFileSync(logFile(pod), cri([['2026-01-02T15:04:06Z', 'second']]));
    await expect.poll(read, { timeout: 5_000 }).toBe('first\nsecond\n');
    response.destroy();
    expect(await text(await ask(path, 'admin'))).toBe('second\n');
  });

  it('tells a watch that an object has left its selector by the last state that matched', async () => {
    const selector = 'labelSelector=rig-test%3Dyes';
    kubectl('label', 'pod', pod, 'rig-test=yes');
    const list = await ask(`/api/v1/namespaces/shop/pods?${selector}`, 'admin');
    const { resourceVersion } = (JSON.parse(await text(list)) as { metadata: { resourceVersion: string } })
      .metadata;
    const watched = `/api/v1/namespaces/shop/pods?watch=1&${selector}&resourceVersion=${resourceVersion}`;
    const response = await ask(watched, 'admin');
    const read = collect(response);
    kubectl('label', 'pod', pod, 'rig-test-');
    await expect.poll(read, { timeout: 5_000 }).toMatch(/\n$/);
    response.destroy();
    const { type, object } = JSON.parse(read()) as {
      type: string;
      object: { metadata: { name: string; resourceVersion: string; labels: Record<string, string> } };
    };
    expect([type, object.metadata.name, object.metadata.labels['rig-test']]).toEqual(['DELETED', pod, 'yes']);
    expect(Number(object.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion));
  });
});
