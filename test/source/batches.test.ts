import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Batches } from '../../src/source/batches.js';

async function read(batches: Batches): Promise<string> {
  let all = '';
  for (let batch = await batches.next(); batch; batch = await batches.next()) all += batch.toString('latin1');
  return all;
}

describe('the batches of a stream', () => {
  it('are all that came, in order, however it was cut', async () => {
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 30_000, unit: 'binary-ascii' }), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(chunks, async (texts) => {
        const stream = new PassThrough();
        const batches = new Batches(stream);
        for (const text of texts) stream.write(text, 'latin1');
        stream.end();
        expect(await read(batches)).toBe(texts.join(''));
      }),
      { numRuns: 30 },
    );
  });

  it('make the sender wait while nobody takes them', async () => {
    const stream = new PassThrough({ highWaterMark: 1024 });
    const batches = new Batches(stream);
    const chunk = Buffer.alloc(1024, 120);
    let sent = 0;
    const send = (): void => {
      while (sent < 1000) {
        sent++;
        if (!stream.write(chunk)) return void stream.once('drain', send);
      }
      stream.end();
    };
    send();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(batches.waiting).toBeLessThan(32 * 1024);
    expect(sent).toBeLessThan(100);
    expect((await read(batches)).length).toBe(1000 * 1024);
  });

  it('come before the error that ended the stream', async () => {
    const stream = new PassThrough();
    const batches = new Batches(stream);
    stream.write('some');
    await new Promise((resolve) => setImmediate(resolve));
    stream.destroy(new Error('cut'));
    expect((await batches.next())?.toString()).toBe('some');
    await expect(batches.next()).rejects.toThrow('cut');
  });
});
