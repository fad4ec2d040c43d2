import type { Json } from '../src/record/json.js';
import { textOf, type Line } from '../src/record/line.js';
import type { JsonObject } from './json-layout.js';

/*
 * A JSON object written by hand as a *text* format: nothing in it is escaped, what is unset is a bare `-`, and a quote in
 * a user agent breaks it. Such a template prints no `null`; a line that has one was JSON and is damaged.
 */

/** `"key":` behind which a value begins, blanks allowed around the colon; sticky. */
const KEY = /\s*"([A-Za-z0-9_.:@ -]{1,64})"\s*:\s*/y;
/** A value without quotes: a number, a word, or the `-` of what is unset. */
const BARE = /(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|-)?\s*(?=[,}])/y;
/** Behind a closing quote: the next key, or the end of the object and line. */
const NEXT = /\s*(?:,\s*"[A-Za-z0-9_.:@ -]{1,64}"\s*:|\}\s*$)/y;

/** The object that such a line stands for; `undefined` where it is none. */
export function pseudoJson(line: Line): JsonObject | undefined {
  const text = textOf(line).trim();
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined;
  const object = Object.create(null) as Record<string, Json>;
  let at = 1;
  for (;;) {
    KEY.lastIndex = at;
    const key = KEY.exec(text);
    if (!key?.[1]) return undefined;
    at = KEY.lastIndex;
    if (text[at] === '"') {
      const close = stringEnd(text, at + 1);
      if (close < 0) return undefined;
      object[key[1]] = text.slice(at + 1, close);
      at = close + 1;
    } else {
      BARE.lastIndex = at;
      const bare = BARE.exec(text);
      if (!bare) return undefined;
      object[key[1]] = bareValue(bare[1]);
      at = BARE.lastIndex;
    }
    while (text[at] === ' ') at++;
    if (text[at] === '}') return at === text.length - 1 ? object : undefined;
    if (text[at] !== ',') return undefined;
    at++;
  }
}

/** The quote behind which the next key or the end stands. */
function stringEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    NEXT.lastIndex = at + 1;
    if (NEXT.test(text)) return at;
  }
  return -1;
}

function bareValue(text: string | undefined): Json {
  if (text === undefined || text === '-') return '-';
  return text === 'true' || text === 'false' ? text === 'true' : Number(text);
}
