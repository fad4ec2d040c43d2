import { compileFilter, FilterError, type Filter } from './filter.js';

/** What the flags of one command select, each written in the filter language. */
export interface SelectionTexts {
  /** All of these must hold. */
  readonly filter: readonly string[];
  /** Where there are any, one of these must hold. */
  readonly include: readonly string[];
  /** None of these may hold. */
  readonly exclude: readonly string[];
}

/** A filter text that cannot be read, with the flag it was given to. */
export class SelectionError extends Error {
  constructor(
    readonly flag: string,
    readonly text: string,
    readonly problem: FilterError,
  ) {
    super(`${flag}: column ${problem.at}: ${problem.message}`);
    this.name = 'SelectionError';
  }

  /** The text with what is wrong marked below it. */
  get marked(): string {
    return `${this.text}\n${' '.repeat(this.problem.at - 1)}${'^'.repeat(this.problem.length)}`;
  }
}

/** One filter out of all flags; `undefined` where nothing is selected. @throws SelectionError */
export function compileSelection(texts: SelectionTexts): Filter | undefined {
  const compiled = (flag: string, list: readonly string[]): Filter[] =>
    list.map((text) => {
      try {
        return compileFilter(text);
      } catch (error) {
        if (error instanceof FilterError) throw new SelectionError(flag, text, error);
        throw error;
      }
    });
  const all = compiled('--filter', texts.filter);
  const any = compiled('--include', texts.include);
  const none = compiled('--exclude', texts.exclude);
  if (all.length + any.length + none.length === 0) return undefined;
  return {
    text: [...texts.filter, ...texts.include, ...texts.exclude.map((text) => `!(${text})`)].join(' '),
    asksWho: [...all, ...any, ...none].some(({ asksWho }) => asksWho),
    matches: (record, context) =>
      all.every((filter) => filter.matches(record, context)) &&
      (any.length === 0 || any.some((filter) => filter.matches(record, context))) &&
      // Before failures are explained, a term on `who` must not exclude everything.
      none.every(
        (filter) => (filter.asksWho && context.who === undefined) || !filter.matches(record, context),
      ),
    admits: (verdict) =>
      all.every((filter) => filter.admits(verdict)) &&
      (any.length === 0 || any.some((filter) => filter.admits(verdict))) &&
      none.every((filter) => !filter.asksWho || !filter.admits(verdict)),
  };
}
