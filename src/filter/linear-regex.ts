/*
 * Regular expressions for filters that people type and logs that strangers write. JavaScript's own backtrack: one pattern
 * such as `(a+)+$` over one hostile path would stop the program. This one runs all alternatives side by side (Thompson),
 * remembering the sets it has met, so its time is linear in the text whatever the pattern. What needs backtracking
 * (back-references, look-around, \b) is refused with its place.
 */

/** A pattern that cannot be compiled; `at` counts characters of the pattern from 0. */
export class RegexError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
    this.name = 'RegexError';
  }
}

export interface LinearRegex {
  test(text: string): boolean;
}

type Range = readonly [number, number];
type Instruction =
  | { readonly op: 'unit'; readonly ranges: readonly Range[]; readonly negated: boolean; next: number }
  | { readonly op: 'split'; next: number; other: number }
  | { readonly op: 'start' | 'end'; next: number }
  | { readonly op: 'match' };

/** `x{1000}` repeats its instructions; beyond this a pattern is no filter any more. */
const MOST_INSTRUCTIONS = 2_000;
/** Sets remembered before all are forgotten. */
const MOST_STATES = 2_000;
const LAST_UNIT = 0xffff;
const DIGIT: readonly Range[] = [[48, 57]];
const WORD: readonly Range[] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const SPACE: readonly Range[] = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
];

/** @throws RegexError with the place of what cannot be read. */
export function compileRegex(pattern: string): LinearRegex {
  const ignoreCase = pattern.startsWith('(?i)');
  return new Machine(new Compiler(pattern, ignoreCase).compile());
}

/** Recursive descent straight to instructions; a fragment is its entry and the places that its exits fill in. */
class Compiler {
  readonly #program: Instruction[] = [];
  #at: number;

  constructor(
    readonly pattern: string,
    readonly ignoreCase: boolean,
  ) {
    this.#at = ignoreCase ? 4 : 0;
  }

  compile(): { program: readonly Instruction[]; entry: number } {
    const body = this.#alternatives(0);
    if (this.#at < this.pattern.length) throw new RegexError("')' without '('", this.#at);
    const match = this.#emit({ op: 'match' });
    body.exits.forEach((set) => set(match));
    return { program: this.#program, entry: body.entry(match) };
  }

  #emit(instruction: Instruction): number {
    if (this.#program.length >= MOST_INSTRUCTIONS) {
      throw new RegexError('the pattern repeats too much', Math.min(this.#at, this.pattern.length - 1));
    }
    return this.#program.push(instruction) - 1;
  }

  #alternatives(depth: number): Fragment {
    if (depth > 50) throw new RegexError('brackets nest too deep', this.#at);
    let left = this.#sequence(depth);
    while (this.pattern[this.#at] === '|') {
      this.#at++;
      const right = this.#sequence(depth);
      left = this.#either(left, right);
    }
    return left;
  }

  #either(left: Fragment, right: Fragment): Fragment {
    const split: Extract<Instruction, { op: 'split' }> = { op: 'split', next: -1, other: -1 };
    const at = this.#emit(split);
    const exits = [...left.exits, ...right.exits];
    split.next = left.entry(-1);
    split.other = right.entry(-1);
    if (left.empty) exits.push((to) => (split.next = to));
    if (right.empty) exits.push((to) => (split.other = to));
    return { entry: () => at, exits, empty: false };
  }

  #sequence(depth: number): Fragment {
    let whole: Fragment = NOTHING;
    while (this.#at < this.pattern.length && !'|)'.includes(this.pattern[this.#at]!)) {
      whole = chain(whole, this.#repeated(depth));
    }
    return whole;
  }

  #repeated(depth: number): Fragment {
    const from = this.#at;
    const make = (): Fragment => {
      this.#at = from;
      return this.#atom(depth);
    };
    let result = make();
    const bounds = this.#bounds();
    if (!bounds) return result;
    const after = this.#at;
    const [least, most] = bounds;
    // Each copy is compiled anew from the same text.
    result = least > 0 ? result : NOTHING;
    for (let i = 1; i < least; i++) result = chain(result, make());
    if (most === Infinity) {
      result = least > 0 ? chain(result, this.#star(make())) : this.#star(make());
    } else {
      for (let i = least; i < most; i++) result = chain(result, this.#either(make(), NOTHING));
    }
    this.#at = after;
    if (/[*+?]/.test(this.pattern[after] ?? '')) {
      // A lazy mark changes which match is found, never whether there is one.
      if (this.pattern[after] === '?') this.#at++;
      else throw new RegexError('nothing to repeat', after);
    }
    return result;
  }

  #star(body: Fragment): Fragment {
    if (body.empty) return NOTHING;
    const split: Extract<Instruction, { op: 'split' }> = { op: 'split', next: -1, other: -1 };
    const at = this.#emit(split);
    split.next = body.entry(at);
    body.exits.forEach((set) => set(at));
    return { entry: () => at, exits: [(to) => (split.other = to)], empty: false };
  }

  #bounds(): readonly [number, number] | undefined {
    const sign = this.pattern[this.#at];
    if (sign === '*' || sign === '+' || sign === '?') {
      this.#at++;
      return sign === '*' ? [0, Infinity] : sign === '+' ? [1, Infinity] : [0, 1];
    }
    const counted = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(this.pattern.slice(this.#at, this.#at + 12));
    if (!counted) return undefined;
    const least = Number(counted[1]);
    const most = counted[2] === '' ? least : counted[3] === '' ? Infinity : Number(counted[3]);
    if (most < least) throw new RegexError('the bounds are out of order', this.#at);
    this.#at += counted[0].length;
    return [least, most];
  }

  #atom(depth: number): Fragment {
    const at = this.#at;
    const sign = this.pattern[this.#at++]!;
    switch (sign) {
      case '(': {
        if (this.pattern.startsWith('?:', this.#at)) this.#at += 2;
        else if (this.pattern[this.#at] === '?') {
          throw new RegexError('look-around and named groups are not supported', at);
        }
        const inner = this.#alternatives(depth + 1);
        if (this.pattern[this.#at] !== ')') throw new RegexError("'(' is not closed", at);
        this.#at++;
        return inner;
      }
      case '[':
        return this.#set(at);
      case '.':
        return this.#unit([[10, 10]], true);
      case '^':
        return this.#mark('start');
      case '$':
        return this.#mark('end');
      case '*':
      case '+':
      case '?':
        throw new RegexError('nothing to repeat', at);
      case '\\': {
        const { ranges, negated } = this.#escape(at);
        return this.#unit(ranges, negated);
      }
      default:
        return this.#unit(this.#literal(sign.charCodeAt(0)), false);
    }
  }

  #set(at: number): Fragment {
    const negated = this.pattern[this.#at] === '^';
    if (negated) this.#at++;
    const ranges: Range[] = [];
    for (let first = true; ; first = false) {
      const sign = this.pattern[this.#at];
      if (sign === undefined) throw new RegexError("'[' is not closed", at);
      this.#at++;
      if (sign === ']' && !first) return this.#unit(ranges, negated);
      if (sign === '\\') {
        const escaped = this.#escape(this.#at - 1);
        ranges.push(...(escaped.negated ? inverse(escaped.ranges) : escaped.ranges));
        continue;
      }
      const low = sign.charCodeAt(0);
      const next = this.pattern[this.#at + 1];
      if (this.pattern[this.#at] !== '-' || next === undefined || next === ']') {
        ranges.push(...this.#literal(low));
        continue;
      }
      this.#at += 2;
      const high = next === '\\' ? this.pattern.charCodeAt(this.#at++) : next.charCodeAt(0);
      if (!(high >= low)) throw new RegexError('the range is out of order', this.#at - 3);
      ranges.push([low, high]);
      if (this.ignoreCase) ranges.push(...otherCase(low, high));
    }
  }

  #escape(at: number): { ranges: readonly Range[]; negated: boolean } {
    const sign = this.pattern[this.#at++];
    if (sign === undefined) throw new RegexError("a '\\' at the end escapes nothing", at);
    const lower = sign.toLowerCase();
    const set = { d: DIGIT, w: WORD, s: SPACE }[lower];
    if (set) return { ranges: set, negated: sign !== lower };
    if (sign === 't') return { ranges: [[9, 9]], negated: false };
    if (sign === 'n') return { ranges: [[10, 10]], negated: false };
    if (/[A-Za-z0-9]/.test(sign)) throw new RegexError(`\\${sign} is not supported`, at);
    return { ranges: this.#literal(sign.charCodeAt(0)), negated: false };
  }

  #literal(unit: number): readonly Range[] {
    return this.ignoreCase ? [[unit, unit], ...otherCase(unit, unit)] : [[unit, unit]];
  }

  #unit(ranges: readonly Range[], negated: boolean): Fragment {
    const instruction: Extract<Instruction, { op: 'unit' }> = { op: 'unit', ranges, negated, next: -1 };
    const at = this.#emit(instruction);
    return { entry: () => at, exits: [(to) => (instruction.next = to)], empty: false };
  }

  #mark(op: 'start' | 'end'): Fragment {
    const instruction: Extract<Instruction, { op: 'start' | 'end' }> = { op, next: -1 };
    const at = this.#emit(instruction);
    return { entry: () => at, exits: [(to) => (instruction.next = to)], empty: false };
  }
}

interface Fragment {
  /** Where it begins; of an empty one, what comes after it. */
  readonly entry: (after: number) => number;
  readonly exits: readonly ((to: number) => void)[];
  readonly empty: boolean;
}

const NOTHING: Fragment = { entry: (after) => after, exits: [], empty: true };

function chain(first: Fragment, second: Fragment): Fragment {
  if (first.empty) return second;
  if (second.empty) return first;
  const to = second.entry(-1);
  first.exits.forEach((set) => set(to));
  return { entry: first.entry, exits: second.exits, empty: false };
}

/** The ASCII letters of a range in their other case. */
function otherCase(low: number, high: number): Range[] {
  const shifted = (from: number, to: number, by: number): Range[] => {
    const a = Math.max(low, from);
    const b = Math.min(high, to);
    return a <= b ? [[a + by, b + by]] : [];
  };
  return [...shifted(65, 90, 32), ...shifted(97, 122, -32)];
}

function inverse(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  let from = 0;
  for (const [low, high] of ranges.toSorted(([a], [b]) => a - b)) {
    if (low > from) result.push([from, low - 1]);
    from = high + 1;
  }
  if (from <= LAST_UNIT) result.push([from, LAST_UNIT]);
  return result;
}

/** A set of places in the program that are reached at once. */
interface Reached {
  readonly units: readonly number[];
  readonly matched: boolean;
  /** Places that wait for the end of the text. */
  readonly atEnd: readonly number[];
  readonly next: Map<number, Reached>;
}

class Machine implements LinearRegex {
  readonly #program: readonly Instruction[];
  readonly #entry: number;
  #known = new Map<string, Reached>();
  #first: Reached | undefined;

  constructor({ program, entry }: { program: readonly Instruction[]; entry: number }) {
    this.#program = program;
    this.#entry = entry;
  }

  test(text: string): boolean {
    let state = (this.#first ??= this.#reach([this.#entry], true));
    for (let i = 0; i < text.length; i++) {
      if (state.matched) return true;
      const unit = text.charCodeAt(i);
      let next = state.next.get(unit);
      if (!next) {
        next = this.#step(state, unit);
        state.next.set(unit, next);
      }
      state = next;
    }
    return state.matched || this.#matchesAtEnd(state, text.length === 0);
  }

  #step(state: Reached, unit: number): Reached {
    const places: number[] = [];
    for (const place of state.units) {
      const instruction = this.#program[place]!;
      if (instruction.op === 'unit' && holds(instruction, unit)) places.push(instruction.next);
    }
    // A match may begin anywhere.
    places.push(this.#entry);
    return this.#reach(places, false);
  }

  #reach(places: readonly number[], atStart: boolean): Reached {
    const { units, matched, ends } = this.#closure(places, atStart, false);
    const key = `${atStart ? '^' : ''}${units.join(',')};${ends.join(',')};${matched ? 1 : 0}`;
    const known = this.#known.get(key);
    if (known) return known;
    if (this.#known.size >= MOST_STATES) {
      this.#known = new Map();
      this.#first = undefined;
    }
    const state: Reached = { units, matched, atEnd: ends, next: new Map() };
    this.#known.set(key, state);
    return state;
  }

  #matchesAtEnd(state: Reached, atStart: boolean): boolean {
    if (state.atEnd.length === 0) return false;
    return this.#closure(state.atEnd, atStart, true).matched;
  }

  #closure(
    places: readonly number[],
    atStart: boolean,
    atEnd: boolean,
  ): { units: number[]; matched: boolean; ends: number[] } {
    const seen = new Set<number>();
    const units: number[] = [];
    const ends: number[] = [];
    let matched = false;
    const open = [...places];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (seen.has(place)) continue;
      seen.add(place);
      const instruction = this.#program[place]!;
      switch (instruction.op) {
        case 'match':
          matched = true;
          break;
        case 'split':
          open.push(instruction.next, instruction.other);
          break;
        case 'start':
          if (atStart) open.push(instruction.next);
          break;
        case 'end':
          if (atEnd) open.push(instruction.next);
          else ends.push(place);
          break;
        case 'unit':
          units.push(place);
          break;
        default:
          instruction satisfies never;
      }
    }
    return { units: units.toSorted((a, b) => a - b), matched, ends: ends.toSorted((a, b) => a - b) };
  }
}

function holds(instruction: Extract<Instruction, { op: 'unit' }>, unit: number): boolean {
  for (const [low, high] of instruction.ranges) if (unit >= low && unit <= high) return !instruction.negated;
  return instruction.negated;
}
