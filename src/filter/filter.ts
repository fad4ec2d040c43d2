import type { RecordView } from '../record/record-view.js';
import {
  fieldNamed,
  FILTER_FIELDS,
  nearestField,
  searchedTexts,
  type Field,
  type LineContext,
} from './fields.js';
import { globMatches, isGlob } from './glob.js';
import { compileRegex, RegexError } from './linear-regex.js';

/*
 * The filter language: terms with blanks between, all of which must hold.
 *   code>=500   flag:UF,UH   !path~^/healthz   upstream:ledger*   dur>2s   who:mesh   timeout   "two words"
 * `:` takes a list, any of which may match, with * and ?; `=` the same without wildcards; `~` a regular expression; `!`
 * or `-` in front turns a term around. A bare word is looked for in all fields.
 */

/** A filter that cannot be read; `at` is the column of what is wrong, from 1. */
export class FilterError extends Error {
  constructor(
    message: string,
    readonly at: number,
    readonly length: number,
  ) {
    super(message);
    this.name = 'FilterError';
  }
}

export interface Filter {
  readonly text: string;
  /** Whether a line passes. Terms that ask `who` hold where the context does not say. */
  matches(record: RecordView, context: LineContext): boolean;
  /** Whether a line of an incident with this verdict may pass, by the terms that ask `who` alone. */
  admits(verdict: string | null): boolean;
  /** Whether any term asks `who`: that is known only once failures are explained. */
  readonly asksWho: boolean;
}

type Test = (record: RecordView, context: LineContext) => boolean;

const NUMERIC_OPERATORS = ['>=', '<=', '>', '<'] as const;
/** Longer ones first, so that they win. */
const OPERATORS = [...NUMERIC_OPERATORS.slice(0, 2), '!=', '!~', '>', '<', '=', ':', '~'] as const;
type Operator = (typeof OPERATORS)[number];

interface Value {
  readonly text: string;
  /** Index of its first character in the filter. */
  readonly at: number;
  readonly quoted: boolean;
}

/** @throws FilterError with the column. */
export function compileFilter(text: string): Filter {
  const terms = new Reader(text).terms();
  const ofWho = terms.filter(({ who }) => who);
  const ofLine = terms.filter(({ who }) => !who);
  return {
    text,
    asksWho: ofWho.length > 0,
    matches: (record, context) =>
      ofLine.every(({ test }) => test(record, context)) &&
      (context.who === undefined || ofWho.every(({ test }) => test(record, context))),
    admits: (verdict) => ofWho.every(({ test }) => test(NO_RECORD, { who: verdict })),
  };
}

// Terms on `who` look at the context alone.
const NO_RECORD = undefined as unknown as RecordView;

interface Term {
  readonly who: boolean;
  readonly test: Test;
}

class Reader {
  #at = 0;

  constructor(readonly text: string) {}

  terms(): Term[] {
    const terms: Term[] = [];
    for (;;) {
      while (/\s/.test(this.text[this.#at] ?? '')) this.#at++;
      if (this.#at >= this.text.length) return terms;
      terms.push(this.#term());
    }
  }

  #fail(message: string, at: number, length = 1): never {
    throw new FilterError(message, at + 1, Math.max(1, length));
  }

  #term(): Term {
    const from = this.#at;
    const sign = this.text[from]!;
    const negated = sign === '!' || (sign === '-' && /\S/.test(this.text[from + 1] ?? ''));
    if (negated) this.#at++;
    if (/^(?:\s|$)/.test(this.text.slice(this.#at, this.#at + 1))) {
      this.#fail("'!' needs a term right behind it", from);
    }
    const { who, test } = this.#positive();
    return { who, test: negated ? (record, context) => !test(record, context) : test };
  }

  #positive(): Term {
    const at = this.#at;
    const head = /^([A-Za-z_][A-Za-z0-9_-]*?)(>=|<=|!=|!~|[><=:~])/.exec(this.text.slice(at));
    if (!head) return { who: false, test: this.#bare() };
    const name = head[1]!;
    const operator = head[2] as Operator;
    const field = fieldNamed(name);
    if (!field) {
      const near = nearestField(name);
      this.#fail(
        `no field '${name}'${near ? `; did you mean ${near}?` : `; fields are ${FILTER_FIELDS.map((known) => known.name).join(' ')}`}`,
        at,
        name.length,
      );
    }
    this.#at += head[0].length;
    const value = this.#value();
    if (value.text === '' && !value.quoted) {
      this.#fail(`${name}${operator} needs a value`, at, head[0].length);
    }
    const test = this.#comparison(field, name, operator, value, at);
    return { who: field.name === 'who', test };
  }

  #bare(): Test {
    if (this.text[this.#at] === '~') {
      this.#at++;
      const regex = this.#regex(this.#value());
      return (record, context) => searchedTexts(record, context).some((text) => regex.test(text));
    }
    const { text, quoted } = this.#value();
    if (!quoted && isGlob(text)) {
      return (record, context) =>
        searchedTexts(record, context).some((found) => globMatches(`*${text}*`, found));
    }
    const wanted = text.toLowerCase();
    return (record, context) =>
      searchedTexts(record, context).some((found) => found.toLowerCase().includes(wanted));
  }

  /** Up to the next blank, or a quoted text in which \" and \\ stand for themselves. */
  #value(): Value {
    const from = this.#at;
    if (this.text[from] !== '"') {
      while (this.#at < this.text.length && !/\s/.test(this.text[this.#at]!)) this.#at++;
      return { text: this.text.slice(from, this.#at), at: from, quoted: false };
    }
    let text = '';
    for (let i = from + 1; i < this.text.length; i++) {
      const sign = this.text[i]!;
      if (sign === '"') {
        this.#at = i + 1;
        return { text, at: from + 1, quoted: true };
      }
      const next = this.text[i + 1];
      if (sign === '\\' && (next === '"' || next === '\\')) {
        text += next;
        i++;
      } else text += sign;
    }
    return this.#fail('the quote is not closed', from);
  }

  #regex(value: Value): { test(text: string): boolean } {
    try {
      return compileRegex(value.text);
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      return this.#fail(error.message, value.at + error.at);
    }
  }

  #comparison(field: Field, name: string, operator: Operator, value: Value, at: number): Test {
    switch (operator) {
      case '~':
      case '!~': {
        const regex = this.#regex(value);
        const found: Test = (record, context) =>
          field.texts(record, context).some((text) => regex.test(text));
        return operator === '~' ? found : (record, context) => !found(record, context);
      }
      case ':':
      case '=':
      case '!=': {
        const equal = this.#anyOf(field, operator !== ':', value);
        return operator === '!=' ? (record, context) => !equal(record, context) : equal;
      }
      default:
        return this.#bound(field, name, operator, value, at);
    }
  }

  #anyOf(field: Field, exact: boolean, value: Value): Test {
    const tests = this.#items(value).map((item) => this.#oneOf(field, exact, item));
    return (record, context) => tests.some((test) => test(record, context));
  }

  #items(value: Value): Value[] {
    if (value.quoted) return [value];
    let at = value.at;
    return value.text.split(',').map((text) => {
      const item = { text, at, quoted: false };
      at += text.length + 1;
      if (text === '') this.#fail('a value is missing beside the comma', Math.max(value.at, item.at - 1));
      return item;
    });
  }

  #oneOf(field: Field, exact: boolean, item: Value): Test {
    const { text } = item;
    if (text === '-' && !item.quoted) return (record, context) => field.texts(record, context).length === 0;
    switch (field.kind) {
      case 'flags': {
        if (!exact && isGlob(text)) {
          return (record) => record.responseFlags().some((flag) => globMatches(text, flag));
        }
        const wanted = text.toUpperCase();
        return (record) => record.responseFlags().some((flag) => flag.toUpperCase() === wanted);
      }
      case 'number':
      case 'bytes':
      case 'duration': {
        const hundreds = /^([1-5])xx$/i.exec(text)?.[1];
        if (hundreds && field.kind === 'number') {
          return (record) => Math.floor((field.number?.(record) ?? -1) / 100) === Number(hundreds);
        }
        const wanted = this.#number(field, item);
        return (record) => field.number?.(record) === wanted;
      }
      case 'text': {
        if (!exact && !item.quoted && isGlob(text)) {
          return (record, context) => field.texts(record, context).some((found) => globMatches(text, found));
        }
        const wanted = text.toLowerCase();
        return (record, context) =>
          field.texts(record, context).some((found) => found.toLowerCase() === wanted);
      }
      default:
        return field.kind satisfies never;
    }
  }

  #bound(
    field: Field,
    name: string,
    operator: (typeof NUMERIC_OPERATORS)[number],
    value: Value,
    at: number,
  ): Test {
    const { number } = field;
    if (!number) {
      this.#fail(`${name} is text: use ${name}:… or ${name}~…`, at, name.length + operator.length);
    }
    const limit = this.#number(field, value);
    const holds = {
      '>=': (n: number) => n >= limit,
      '<=': (n: number) => n <= limit,
      '>': (n: number) => n > limit,
      '<': (n: number) => n < limit,
    }[operator];
    return (record) => {
      const found = number(record);
      return found !== null && holds(found);
    };
  }

  #number(field: Field, { text, at }: Value): number {
    if (field.kind === 'duration') {
      const found = /^(\d+(?:\.\d+)?)(us|ms|s|m|h)$/.exec(text);
      if (!found) this.#fail(`'${text}' is no duration: write 150ms, 2s, 1.5s or 1m`, at, text.length);
      return Number(found[1]) * { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[found[2] as 'us'];
    }
    const found =
      field.kind === 'bytes' ? /^(\d+(?:\.\d+)?)([kKMG]?)i?B?$/.exec(text) : /^(\d+)()$/.exec(text);
    if (!found) this.#fail(`'${text}' is no ${field.kind === 'bytes' ? 'size' : 'number'}`, at, text.length);
    return Number(found[1]) * { '': 1, k: 1024, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[found[2] as ''];
  }
}
