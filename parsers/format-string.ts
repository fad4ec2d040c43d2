import { usageError, type MeshtailError } from '../src/errors.js';
import type { FieldName } from '../src/record/access-record.js';
import { fieldOf, mayHoldBlanks, operators, type Operator, type TextClass } from './operators.js';

/** One `%OPERATOR(args):length%` of a format string. */
export interface OperatorPart {
  readonly kind: 'operator';
  /** As it stands in the string, with its percent signs. */
  readonly text: string;
  readonly name: string;
  readonly args: string | undefined;
  /** Envoy cuts the value to so many bytes. */
  readonly maxLength: number | undefined;
  /** Column in the format string, from 1. */
  readonly at: number;
  readonly operator: Operator | undefined;
  readonly textClass: TextClass;
  readonly field: FieldName | undefined;
  readonly blanks: boolean;
}

export interface LiteralPart {
  readonly kind: 'literal';
  readonly text: string;
  readonly at: number;
}

export type FormatPart = OperatorPart | LiteralPart;

// Envoy v1.40 source/common/formatter/substitution_formatter.cc: the argument ends at the first ")" after which the rest fits.
const OPERATOR = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%/y;

/**
 * A format string as Envoy reads it: literal text and operators, in order; `%%` is a percent sign.
 * @throws usage error, with its column, where a `%` begins no operator
 */
export function formatParts(format: string): readonly FormatPart[] {
  const parts: FormatPart[] = [];
  let literal = '';
  let literalAt = 1;
  const flush = (): void => {
    if (literal !== '') parts.push({ kind: 'literal', text: literal, at: literalAt });
    literal = '';
  };
  for (let at = 0; at < format.length;) {
    if (literal === '') literalAt = at + 1;
    if (format[at] !== '%') {
      literal += format[at++];
      continue;
    }
    if (format[at + 1] === '%') {
      literal += '%';
      at += 2;
      continue;
    }
    OPERATOR.lastIndex = at;
    const match = OPERATOR.exec(format);
    if (!match) throw notAnOperator(format, at);
    flush();
    parts.push(operatorPart(match, at + 1));
    at += match[0].length;
  }
  flush();
  return parts;
}

function operatorPart(match: RegExpExecArray, at: number): OperatorPart {
  const [text, name = '', args, length] = match;
  return {
    kind: 'operator',
    text,
    name,
    args,
    maxLength: length === undefined ? undefined : Number(length),
    at,
    field: fieldOf(name, args),
    // The table is read by whom a format was given; the layouts that are known do without.
    get operator() {
      return operators().get(name);
    },
    get textClass() {
      return this.operator?.text ?? 'unknown';
    },
    get blanks() {
      return mayHoldBlanks(name, args, this.operator);
    },
  };
}

function notAnOperator(format: string, at: number): MeshtailError {
  const found = format.slice(at, at + 30);
  const lower = /^%([A-Za-z0-9_]+)/.exec(found)?.[1];
  const hint =
    lower && lower !== lower.toUpperCase() && operators().has(lower.toUpperCase())
      ? `operators are upper case: %${lower.toUpperCase()}%`
      : 'write %% for a percent sign; an operator is %NAME%, %NAME(argument)% or %NAME(argument):length%';
  return usageError(`--format, column ${at + 1}: '${found}' is no operator`, hint);
}
