import type { FormatPart, OperatorPart } from './format-string.js';
import { usageError } from '../src/errors.js';
import { SPACE, isDigit } from './tokenize.js';

const TAB = 9;
const DASH = 45;

/** What a field's text looks like, as far as its end is told by it. */
const enum Kind {
  /** One digit or more. */
  digits,
  /** Digits, or a lone `-`. */
  count,
  /** No blank. */
  token,
  /** Anything: it ends where the text behind it begins. */
  free,
}

interface Field {
  readonly part: OperatorPart;
  readonly kind: Kind;
}

/** Where each field of a line stands: `starts[i]` to `ends[i]`. */
export interface Match {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Bytes that may be looked at, as a multiple of the line's length: what keeps a hostile line linear. */
const WORK = 24;

/**
 * Finds the fields of a format in a line. Fields without blanks end by themselves, from the left up to the first free one.
 * Free fields end where what stands behind them fits: those before the one that strangers write (the user agent; else the
 * last) at the first such place, those behind it, from the right, at the last. That one takes what is left.
 */
export class Matcher {
  readonly fields: readonly OperatorPart[];
  readonly #fields: readonly Field[];
  /** `#literals[i]` stands before field i, the last one behind the last field. */
  readonly #literals: readonly Buffer[];
  /** Which fields are free. */
  readonly #free: readonly number[];
  /** Place in `#free` of the one that takes what is left; -1 where none is free. */
  readonly #pivot: number;
  readonly #match: Match;
  #line: Buffer = Buffer.alloc(0);
  #greedy = false;
  #work = 0;
  /** How far the line fitted, and how many fields from the left did. */
  reached = 0;
  fitted = 0;

  /** @throws usage error where two operators stand side by side, so that nothing tells where the first one ends */
  constructor(parts: readonly FormatPart[]) {
    const fields: Field[] = [];
    const literals: string[] = [''];
    for (const [i, part] of parts.entries()) {
      if (part.kind === 'literal') {
        literals[literals.length - 1] = part.text;
        continue;
      }
      const before = parts[i - 1];
      if (before?.kind === 'operator') throw adjacent(before, part);
      fields.push({ part, kind: kindOf(part) });
      literals.push('');
    }
    this.#fields = fields;
    this.fields = fields.map(({ part }) => part);
    this.#literals = literals.map((text) => Buffer.from(text));
    this.#free = fields.flatMap(({ kind }, i) => (kind === Kind.free ? [i] : []));
    const agent = this.#free.findIndex((i) => fields[i]!.part.field === 'user_agent');
    this.#pivot = agent >= 0 ? agent : this.#free.length - 1;
    this.#match = { starts: new Int32Array(fields.length), ends: new Int32Array(fields.length) };
  }

  /** The fields of a whole line; `undefined` where it does not fit. Reused by the next call. */
  match(line: Buffer): Match | undefined {
    this.#line = line;
    this.reached = 0;
    this.fitted = 0;
    this.#work = line.length * WORK + 4096;
    // A token that may hold what follows it ends at its first place, or else at its last.
    this.#greedy = false;
    if (this.#try()) return this.#match;
    this.#greedy = true;
    return this.#try() ? this.#match : undefined;
  }

  /** What was sought where a line stopped fitting. */
  get expected(): string {
    const field = this.fields[Math.min(this.fitted, this.fields.length - 1)];
    return field ? `${field.text.slice(1, -1)} (${field.textClass})` : 'the end of the line';
  }

  #try(): boolean {
    const end = this.#line.length;
    const free = this.#free;
    const last = this.#fields.length;
    const first = free[0] ?? last;
    let at = this.#run(0, first, 0);
    if (at < 0) return false;
    if (free.length === 0) return at === end;
    // From the left up to the one that takes what is left.
    for (let n = 0; n < this.#pivot; n++) {
      const next = free[n + 1]!;
      const stop = this.#first(free[n]!, next, at);
      if (stop < 0) return false;
      this.#match.starts[free[n]!] = at;
      this.#match.ends[free[n]!] = stop;
      at = this.#run(free[n]! + 1, next, stop);
    }
    // From the right down to it.
    let limit = end;
    for (let n = free.length - 1; n >= this.#pivot; n--) {
      const next = free[n + 1] ?? last;
      const stop = this.#last(free[n]!, next, at, limit);
      if (stop < 0) return false;
      this.#match.ends[free[n]!] = stop;
      if (next < last) this.#match.starts[next] = this.#run(free[n]! + 1, next, stop);
      else this.#run(free[n]! + 1, next, stop);
      limit = stop;
    }
    this.#match.starts[free[this.#pivot]!] = at;
    return true;
  }

  /** The first place at or after `from` where what stands behind field `field`, up to field `next`, fits. */
  #first(field: number, next: number, from: number): number {
    const literal = this.#literals[field + 1]!;
    for (let at = this.#line.indexOf(literal, from); at >= 0; at = this.#line.indexOf(literal, at + 1)) {
      if (this.#run(field + 1, next, at) >= 0) return at;
      if (this.#work <= 0) return -1;
    }
    return -1;
  }

  /** The last such place from which it fits before `limit`; behind the last field, to `limit` exactly. */
  #last(field: number, next: number, from: number, limit: number): number {
    const literal = this.#literals[field + 1]!;
    const toEnd = next === this.#fields.length;
    if (literal.length === 0) return limit;
    let at = this.#line.lastIndexOf(literal, limit - literal.length);
    for (; at >= from; at = at === 0 ? -1 : this.#line.lastIndexOf(literal, at - 1)) {
      const stop = this.#run(field + 1, next, at);
      if (stop >= 0 && (toEnd ? stop === limit : stop <= limit)) return at;
      if (this.#work <= 0) return -1;
    }
    return -1;
  }

  /** Literal `from`, the fields that end by themselves, and the literals between, up to and with literal `to`: where they end. */
  #run(from: number, to: number, start: number): number {
    const { starts, ends } = this.#match;
    let at = start;
    for (let i = from; ; i++) {
      const literal = this.#literals[i]!;
      const stop = at + literal.length;
      if (stop > this.#line.length || !standsAt(this.#line, at, literal)) return this.#stopped(at, i);
      at = stop;
      if (i === to) return at;
      const end = this.#fieldEnd(i, at);
      this.#work -= Math.abs(end) - at + 8;
      if (end < 0) return this.#stopped(~end, i);
      starts[i] = at;
      ends[i] = end;
      at = end;
    }
  }

  #stopped(at: number, fitted: number): number {
    if (at >= this.reached) {
      this.reached = at;
      this.fitted = fitted;
    }
    return -1;
  }

  /** Where a field that ends by itself ends; `~position` where it does not fit. */
  #fieldEnd(i: number, from: number): number {
    const line = this.#line;
    const kind = this.#fields[i]!.kind;
    let at = from;
    if (kind === Kind.count && line[at] === DASH) return at + 1;
    if (kind !== Kind.token) {
      while (at < line.length && isDigit(line[at])) at++;
      return at > from ? at : ~at;
    }
    while (at < line.length && line[at] !== SPACE && line[at] !== TAB) at++;
    const literal = this.#literals[i + 1]!;
    if (literal.length === 0 || literal[0] === SPACE || literal[0] === TAB) return at;
    if (this.#greedy) {
      const found = line.lastIndexOf(literal, at - 1);
      return found >= from ? found : ~at;
    }
    // Not beyond the token: the search must not cost more than its length.
    const last = Math.min(line.length, at + literal.length);
    const found = line.subarray(from, last).indexOf(literal);
    return found >= 0 && from + found <= at ? from + found : ~at;
  }
}

function kindOf({ textClass, blanks }: OperatorPart): Kind {
  if (textClass === 'uint') return Kind.digits;
  if (textClass === 'millis' || textClass === 'port') return Kind.count;
  return blanks ? Kind.free : Kind.token;
}

function standsAt(line: Buffer, at: number, literal: Buffer): boolean {
  for (let i = 0; i < literal.length; i++) if (line[at + i] !== literal[i]) return false;
  return true;
}

function adjacent(before: OperatorPart, part: OperatorPart): Error {
  return usageError(
    `--format, column ${part.at}: ${before.text} and ${part.text} stand side by side; nothing tells where the first ends`,
    'put a character between them that the first one cannot hold',
  );
}
