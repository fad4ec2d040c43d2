import type { Readable } from 'node:stream';
import type { Source } from './source.js';

/** Lines piped in. */
export function stdinSource(stdin: Readable): Source {
  return {
    name: '-',
    origin: {},
    kind: 'pipe',
    async *open() {
      for await (const chunk of stdin) yield chunk as Buffer;
    },
  };
}
