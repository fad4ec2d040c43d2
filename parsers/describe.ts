import { NUMERIC_FIELDS, type FieldName } from '../src/record/access-record.js';
import { extraKey } from './compile.js';
import { formatParts, type OperatorPart } from './format-string.js';
import type { Format } from './format.js';

/** One field of a format. */
export interface FieldRow {
  /** The key in a record; `extra.…` where it has none of its own. */
  readonly key: string;
  /** Empty for a format that is told by its keys. */
  readonly operator: string;
  /** What the text may be; `data/access-log-operators.json` has the classes. */
  readonly text: string;
  readonly unit: string;
  readonly unset: string;
  /** Column of the operator in the format string, from 1. */
  readonly at: string;
}

/** The fields of a format, in its order; none where its lines differ in what they hold. */
export function describeFormat(
  format: Format & { readonly fields?: readonly OperatorPart[] },
): readonly FieldRow[] {
  const given = format.fields ?? operatorsIn(format.layout);
  const taken = new Set<string>();
  return given.map((part) => {
    const own = part.field !== undefined && !taken.has(part.field);
    if (own) taken.add(part.field!);
    return {
      key: own ? part.field! : isDropped(part) ? '(read, not kept)' : `extra.${extraKey(part)}`,
      operator: part.text,
      text: textOf(part),
      unit: part.operator?.unit ?? (own && isMs(part.field!) ? 'ms' : ''),
      unset: part.operator?.text_when_unset ?? '',
      at: String(part.at),
    };
  });
}

function operatorsIn(layout: string): readonly OperatorPart[] {
  if (!layout.includes('%')) return [];
  return formatParts(layout).filter((part): part is OperatorPart => part.kind === 'operator');
}

/** The mixer policy status of Istio 1.1 to 1.7. */
const isDropped = (part: OperatorPart): boolean => part.args === 'istio.mixer:status';

const isMs = (field: FieldName): boolean => NUMERIC_FIELDS.has(field) && /duration|time$/.test(field);

function textOf({ textClass, blanks, operator }: OperatorPart): string {
  const holds = [blanks && 'blanks', operator?.may_contain_quote && 'quotes'].filter(Boolean).join(' and ');
  return holds ? `${textClass}, may hold ${holds}` : textClass;
}
