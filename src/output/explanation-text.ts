import type { Explanation } from '../diagnosis/explain.js';
import { safeText } from '../record/safe-text.js';
import { labelled, labelledRaw } from './layout.js';

/** An explanation for people. */
export function explanationText(found: Explanation): string {
  return `${linesOf(found).map(safeText).join('\n')}\n`;
}

function linesOf(found: Explanation): string[] {
  switch (found.kind) {
    case 'flag':
      return [
        `${found.flag}  ${found.name}`,
        ...labelled('meaning', found.meaning),
        ...maybe('on TCP', found.tcp),
        ...maybe('codes', found.codes.join(', ')),
        ...maybe('details', found.details.join(', ')),
        ...maybe('look', found.look),
        ...maybe('since', `Envoy ${found.since}`),
        ...labelled('note', 'a flag alone names no cause: direction, details, host and timing decide'),
      ];
    case 'details':
      return [
        found.details,
        ...labelled('meaning', found.meaning),
        ...found.parts.flatMap((part) => labelled('', part)),
        ...maybe('codes', found.codes.join(', ')),
        ...maybe('flags', found.flags.join(', ')),
        ...maybe('blame', found.fault.replaceAll('_', ' ')),
        ...maybe('note', found.notes),
        ...maybe('source', `envoy ${found.source}`),
      ];
    case 'cause':
      return [
        `${found.cause}  ${found.title}`,
        ...labelled('severity', `${found.severity}; ${found.verdict} has to act`),
        ...maybe('mechanism', found.mechanism),
        ...found.signs.flatMap((sign, i) => labelled(i === 0 ? 'for it' : '', sign)),
        ...found.against.flatMap((sign, i) => labelled(i === 0 ? 'against' : '', sign)),
        ...maybe('like it', found.lookalikes.join(', ')),
        ...maybe('decided', `by ${found.decidable.replaceAll('-', ' ')}`),
        ...maybe('source', found.reference),
        ...(found.unjudged
          ? [
              ...labelled('not named', `no rule names it: ${found.unjudged.why}`),
              ...labelled('look at', found.unjudged.decide),
            ]
          : []),
      ];
    case 'line': {
      const { format, extra: _extra, origin: _origin, ...fields } = found.record;
      return [
        `a line of ${format}`,
        ...Object.entries(fields).map(([key, value]) => labelledRaw('', `${key.padEnd(34)}${show(value)}`)),
        ...found.parts.flatMap((part) => ['', ...linesOf(part)]),
      ];
    }
    case 'unknown':
      return [];
    default:
      return found satisfies never;
  }
}

const show = (value: unknown): string =>
  value === null ? '-' : Array.isArray(value) ? value.join(',') || '-' : String(value);

const maybe = (label: string, text: string | null): string[] => (text ? labelled(label, text) : []);
