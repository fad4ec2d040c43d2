import { printLine } from '../src/commands/parse.js';
import type { Parsed } from '../src/pipeline.js';
import { ByteWriter } from '../src/record/byte-writer.js';

/** What `parse --all` prints of a line. Throws where a record is not printed as JSON spells its copy. */
export function printedLine(parsed: Parsed): string {
  // So small that it has to grow within a line.
  const out = new ByteWriter(1);
  printLine(parsed, true, out);
  const printed = out.written.toString();
  if (parsed.result === 'record') {
    const spelled = JSON.stringify({ kind: 'record', ...parsed.record.copy(parsed.origin) });
    if (printed !== spelled) throw new Error(`printed ${printed}\nand not ${spelled}`);
  }
  return printed;
}
