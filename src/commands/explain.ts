import { LineParser } from '../../parsers/index.js';
import type { Options } from '../cli/options.js';
import { explain as explainWord, type Explanation } from '../diagnosis/explain.js';
import { ExitStatus } from '../errors.js';
import { explanationText } from '../output/explanation-text.js';
import { lineOf } from '../record/line.js';
import { RecordCursor } from '../record/record-view.js';
import type { Environment } from './environment.js';

/** `meshtail explain`: looks up a word, or parses a line and looks up what stands in it. Returns the exit status. */
export async function explain(
  words: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  const word = words.join(' ').trim();
  const found = explainLine(word) ?? explainWord(word);
  if (found.kind === 'unknown') {
    environment.warn(
      `'${word}' is no response flag, response code details, cause or access line${found.near.length > 0 ? `; near: ${found.near.join(', ')}` : ''}`,
    );
    return ExitStatus.usage;
  }
  environment.stdout.write(
    options.output === 'json' ? `${JSON.stringify(found, null, 2)}\n` : explanationText(found),
  );
  return ExitStatus.ok;
}

/** A word has no blanks and quotes; only what has is tried as a line. */
function explainLine(text: string): Explanation | undefined {
  if (!/[\s"]/.test(text)) return undefined;
  const record = new RecordCursor();
  if (new LineParser().parse(lineOf(text), record) !== 'record') return undefined;
  const copy = record.copy();
  const parts = [
    ...record.responseFlags().map((flag) => explainWord(flag)),
    ...(copy.response_code_details ? [explainWord(copy.response_code_details)] : []),
  ];
  return { kind: 'line', record: copy, parts: parts.filter(({ kind }) => kind !== 'unknown') };
}
