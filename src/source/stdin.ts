import type { Readable } from 'node:stream';
import { unpacked } from './decompress.js';
import { readError } from './file.js';
import type { Source } from './source.js';

/** Lines piped in, packed or not. */
export function stdinSource(stdin: Readable): Source {
  return {
    name: '-',
    origin: {},
    kind: 'pipe',
    async *open() {
      try {
        yield* unpacked(stdin as AsyncIterable<Buffer>);
      } catch (error) {
        throw readError('stdin', error as NodeJS.ErrnoException);
      }
    },
  };
}
