import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { MeshtailError } from '../../src/errors.js';
import { inTimeOrder } from '../../src/source/rotation.js';
import { resolveFiles } from '../../src/source/resolve.js';
import type { Source } from '../../src/source/source.js';

const root = mkdtempSync(join(tmpdir(), 'meshtail-'));
afterAll(() => rmSync(root, { recursive: true }));

function file(name: string, bytes: Buffer | string): string {
  const path = join(root, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

/** What a source gives, and the code of the error it ends with. */
async function read(source: Source, here = false): Promise<{ text: string; error?: string }> {
  let text = '';
  try {
    for await (const chunk of source.open(here)) text += chunk.toString('latin1');
  } catch (error) {
    return { text, error: (error as MeshtailError).code };
  }
  return { text };
}

async function sourcesOf(...paths: string[]): Promise<readonly Source[]> {
  const { sources, failed } = await resolveFiles(paths, () => {
    throw new Error('no stdin here');
  });
  expect(failed).toEqual([]);
  return sources;
}

async function readPath(path: string): Promise<{ text: string; error?: string }> {
  const found = await read((await sourcesOf(path))[0]!);
  // The same, whichever thread unpacks it.
  expect(await read((await sourcesOf(path))[0]!, true)).toEqual(found);
  return found;
}

/** A ustar archive of files. */
function tar(files: Readonly<Record<string, string | Buffer>>, type = '0'): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name.slice(0, 100), 0);
    header.write('0000644\0', 100);
    header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat(blocks);
}
const END = Buffer.alloc(1024);

const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${(i * 7919) % 104729}\n`).join('');
/** What `zstd -19` makes of "hello zstd\n". */
const ZSTD_FRAME = Buffer.from('28b52ffd046859000068656c6c6f207a7374640a6c57f951', 'hex');

describe('packed files', () => {
  it('reads gzip members one after the other', async () => {
    expect(await readPath(file('two.log.gz', Buffer.concat([gzipSync('a\n'), gzipSync('b\n')])))).toEqual({
      text: 'a\nb\n',
    });
  });

  it('keeps what a truncated gzip held and says so', async () => {
    const packed = gzipSync(lines);
    const { text, error } = await readPath(file('cut.log.gz', packed.subarray(0, packed.length - 2000)));
    expect(error).toBe('gzip-truncated');
    expect(text.length).toBeGreaterThan(lines.length / 2);
    expect(lines.startsWith(text)).toBe(true);
  });

  it('keeps what a damaged gzip held and says so', async () => {
    const packed = Buffer.from(gzipSync(lines));
    packed.fill(0xff, packed.length - 3000, packed.length - 2500);
    const { text, error } = await readPath(file('damaged.log.gz', packed));
    expect(error).toBe('gzip-damaged');
    expect(text.length).toBeGreaterThan(lines.length * 0.8);
    expect(lines.startsWith(text.slice(0, lines.length * 0.8))).toBe(true);
  });

  it('keeps all that a truncated gzip held, however slowly it is taken', async () => {
    const many = lines.repeat(12);
    const packed = gzipSync(many);
    const path = file('slow.log.gz', packed.subarray(0, packed.length * 0.9));
    const whole = (await readPath(path)).text.length;
    expect(whole).toBeGreaterThan(many.length * 0.85);
    let slowly = 0;
    const [source] = await sourcesOf(path);
    await expect(async () => {
      for await (const chunk of source!.open()) {
        slowly += chunk.length;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }).rejects.toMatchObject({ code: 'gzip-truncated' });
    expect(slowly).toBe(whole);
  });

  it.each([
    ['junk behind it', (packed: Buffer) => Buffer.concat([packed, Buffer.from('junk')])],
    [
      'a checksum that does not fit',
      (packed: Buffer) => packed.fill(0x5a, packed.length - 8, packed.length - 6),
    ],
  ])('keeps all of a gzip with %s, or nearly all where it is long', async (name, spoilt) => {
    const few = lines.slice(0, 1_000);
    expect(await readPath(file(`${name}.log.gz`, spoilt(gzipSync(few))))).toEqual({
      text: few,
      error: 'gzip-damaged',
    });
    const many = lines.repeat(8);
    const { text } = await readPath(file(`${name}.log.gz`, spoilt(gzipSync(many))));
    expect(many.startsWith(text)).toBe(true);
    expect(many.length - text.length).toBeLessThan(2_000);
  });

  it('keeps what a packed log holds whose archive ends early', async () => {
    const packed = gzipSync(lines);
    const archive = tar({ 'istio-proxy.log.gz': packed }).subarray(0, 512 + packed.length * 0.8);
    const { text, error } = await readPath(file('early.tar', archive));
    expect(error).toBe('archive-damaged');
    expect(text.length).toBeGreaterThan(lines.length * 0.7);
    expect(lines.startsWith(text)).toBe(true);
  });

  it('unpacks a bomb piece by piece', async () => {
    const [source] = await sourcesOf(file('bomb.log.gz', gzipSync(Buffer.alloc(200 << 20))));
    let most = 0;
    let held = 0;
    const before = process.memoryUsage().arrayBuffers;
    for await (const chunk of source!.open()) {
      most = Math.max(most, chunk.length);
      if (held > 0) continue;
      // Time enough to unpack all of it, were it not held up.
      await new Promise((resolve) => setTimeout(resolve, 400));
      held = process.memoryUsage().arrayBuffers - before;
    }
    expect(most).toBeLessThanOrEqual(1024 * 1024);
    expect(held).toBeLessThan(16 << 20);
  });

  it('reads zstd frames, and says where one is cut', async () => {
    const whole = await readPath(file('a.log.zst', Buffer.concat([ZSTD_FRAME, ZSTD_FRAME])));
    expect(whole).toEqual({ text: 'hello zstd\nhello zstd\n' });
    const cut = await readPath(file('b.log.zst', Buffer.concat([ZSTD_FRAME, ZSTD_FRAME.subarray(0, 12)])));
    expect(cut.error).toMatch(/^zstd-/);
    expect(cut.text).toBe('hello zstd\n');
  });
});

describe('archives', () => {
  it('finds the proxy logs of a bug report, and their pods', async () => {
    const path = file(
      'bug-report.tgz',
      gzipSync(
        Buffer.concat([
          tar({
            'bug-report/istio/istio-system/istiod-1/discovery.log': 'no\n',
            'bug-report/proxies/shop/web-1/istio-proxy.log': 'one\n',
            'bug-report/proxies/shop/web-1/config_dump': '{}',
            'bug-report/proxies/db/pg-0/istio-proxy.log': 'two\n',
          }),
          END,
        ]),
      ),
    );
    const sources = await sourcesOf(path);
    expect(sources.map(({ origin }) => [origin.namespace, origin.pod, origin.container])).toEqual([
      ['shop', 'web-1', 'istio-proxy'],
      ['db', 'pg-0', 'istio-proxy'],
    ]);
    expect(await read(sources[0]!)).toEqual({ text: 'one\n' });
    expect(await read(sources[1]!)).toEqual({ text: 'two\n' });
    // Out of the archive's order, it is read again.
    expect(await read(sources[0]!)).toEqual({ text: 'one\n' });
  });

  it('reads long names, packed members and rotated sets in time order', async () => {
    const long = `${'deep/'.repeat(30)}0.log`;
    const pax = `${`path=${long}\n`.length + 4} path=${long}\n`;
    const path = file(
      'logs.tar',
      Buffer.concat([
        tar({ x: pax }, 'x'),
        tar({ ignored: 'live\n' }),
        tar({ [`a/0.log`]: 'third\n', [`a/0.log.20260102-000000`]: 'second\n' }),
        tar({ [`a/0.log.20260101-000000.gz`]: gzipSync('first\n') }),
        END,
      ]),
    );
    const sources = await sourcesOf(path);
    expect(sources.map(({ name }) => name.slice(path.length + 1))).toEqual([
      long,
      'a/0.log.20260101-000000.gz',
      'a/0.log.20260102-000000',
      'a/0.log',
    ]);
    const texts = [];
    for (const source of sources) texts.push((await read(source)).text);
    expect(texts).toEqual(['live\n', 'first\n', 'second\n', 'third\n']);
  });

  it('keeps what a truncated archive held and says so', async () => {
    const whole = tar({ 'a.log': 'one\n', 'b.log': lines });
    const sources = await sourcesOf(file('cut.tar', whole.subarray(0, whole.length - 100_000)));
    expect(await read(sources[0]!)).toEqual({ text: 'one\n' });
    const { text, error } = await read(sources[1]!);
    expect(error).toBe('archive-damaged');
    expect(lines.startsWith(text)).toBe(true);
  });

  it('says that an archive holds no log', async () => {
    const path = file('none.tar', Buffer.concat([tar({ 'readme.md': '' }), END]));
    const { failed } = await resolveFiles([path], () => {
      throw new Error('no stdin here');
    });
    expect(failed.map(({ code }) => code)).toEqual(['archive-without-logs']);
  });
});

describe('rotated sets', () => {
  it.each([
    [
      'the kubelet',
      ['0.log', '0.log.20260102-000000', '0.log.20260101-000000.gz'],
      ['0.log.20260101-000000.gz', '0.log.20260102-000000', '0.log'],
    ],
    ['restarts', ['10.log', '2.log', '2.log.20260101-000000'], ['2.log.20260101-000000', '2.log', '10.log']],
    [
      'logrotate',
      ['access.log', 'access.log.1', 'access.log.2.gz', 'access.log.10.gz'],
      ['access.log.10.gz', 'access.log.2.gz', 'access.log.1', 'access.log'],
    ],
    [
      'others stay where they are',
      ['b.log', 'x/0.log', 'a.log', 'x/0.log.20260101-000000'],
      ['b.log', 'x/0.log.20260101-000000', 'a.log', 'x/0.log'],
    ],
  ])('%s', (_, given, expected) => {
    expect(inTimeOrder(given)).toEqual(expected);
  });
});
