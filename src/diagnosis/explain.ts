import type { AccessRecord } from '../record/access-record.js';
import { codeDetailTables, detailsClass, lookUpDetails } from '../record/response-code-details.js';
import { responseFlags } from '../record/response-flags.js';
import { catalogue } from './catalogue.js';
import { CAUSES } from './causes/index.js';
import { UNJUDGED, type Unjudged } from './unjudged.js';

/** What the offline reference says of one word or line. */
export type Explanation =
  | {
      readonly kind: 'flag';
      readonly flag: string;
      readonly name: string;
      readonly meaning: string;
      readonly tcp: string | null;
      readonly codes: readonly number[];
      readonly details: readonly string[];
      readonly look: string;
      readonly since: string;
    }
  | {
      readonly kind: 'details';
      readonly details: string;
      readonly class: string;
      readonly meaning: string;
      readonly parts: readonly string[];
      readonly codes: readonly number[];
      readonly flags: readonly string[];
      readonly fault: string;
      readonly source: string;
      readonly notes: string | null;
    }
  | {
      readonly kind: 'cause';
      readonly cause: string;
      readonly title: string;
      readonly severity: string;
      readonly verdict: string;
      readonly mechanism: string | null;
      readonly signs: readonly string[];
      readonly against: readonly string[];
      readonly lookalikes: readonly string[];
      readonly decidable: string;
      /** Set where no rule names the cause. */
      readonly unjudged: Unjudged | null;
      readonly reference: string | null;
    }
  | { readonly kind: 'line'; readonly record: AccessRecord; readonly parts: readonly Explanation[] }
  | { readonly kind: 'unknown'; readonly word: string; readonly near: readonly string[] };

/** Looks a word up: a response flag (short or long name), response code details, or a cause. */
export function explain(word: string): Explanation {
  return (
    explainFlag(word) ??
    explainCause(word) ??
    explainDetails(word) ?? { kind: 'unknown', word, near: near(word) }
  );
}

function explainFlag(word: string): Explanation | undefined {
  const flags = [...responseFlags().values()];
  const flag =
    responseFlags().get(word.toUpperCase()) ??
    flags.find(({ long }) => long.toLowerCase() === word.toLowerCase());
  return (
    flag && {
      kind: 'flag',
      flag: flag.short,
      name: flag.long,
      meaning: flag.meaning,
      tcp: flag.tcp_meaning,
      codes: flag.typical_codes,
      details: flag.typical_details,
      look: flag.look_next,
      since: flag.since_envoy,
    }
  );
}

function explainDetails(word: string): Explanation | undefined {
  const entry = lookUpDetails(word);
  if (!entry) return undefined;
  const tables = codeDetailTables();
  const inside = /[{](.*)[}]/s.exec(word)?.[1] ?? '';
  const reason = tables.upstream_reset_reasons.find((known) => inside.split(/[|,]/)[0] === known.reason);
  const transport = tables.transport_failure_reasons.find(({ pattern }) =>
    inside
      .split(/[|,]/)
      .slice(1)
      .some((part) => new RegExp(pattern).test(part)),
  );
  return {
    kind: 'details',
    details: word,
    class: detailsClass(word),
    meaning: entry.meaning,
    parts: [
      ...(reason ? [`${reason.reason}: ${reason.meaning}`] : []),
      ...(transport ? [`transport failure: ${transport.meaning}`] : []),
    ],
    codes: entry.codes,
    flags: entry.flags,
    fault: entry.fault,
    source: entry.source,
    notes: entry.notes ?? null,
  };
}

function explainCause(word: string): Explanation | undefined {
  const entry = catalogue().get(word);
  if (!entry) return undefined;
  const cause = CAUSES.find(({ id }) => id === word);
  return {
    kind: 'cause',
    cause: entry.id,
    title: entry.title,
    severity: entry.severity,
    verdict: entry.verdict,
    mechanism: cause?.mechanism ?? null,
    signs: cause?.signs ?? [],
    against: cause?.against ?? [],
    lookalikes: entry.lookalikes,
    decidable: entry.decidable,
    unjudged: UNJUDGED.get(entry.id) ?? null,
    reference: cause?.reference ?? null,
  };
}

/** Known words that begin alike or hold the word. */
function near(word: string): string[] {
  const lower = word.toLowerCase();
  const known = [
    ...responseFlags().keys(),
    ...catalogue().keys(),
    ...codeDetailTables().entries.map(({ value }) => value),
  ];
  const close = known.filter((name) => {
    const text = name.toLowerCase();
    return (
      lower.length >= 2 && (text.includes(lower) || (text.length >= 4 && lower.startsWith(text.slice(0, 4))))
    );
  });
  return close.slice(0, 5);
}
