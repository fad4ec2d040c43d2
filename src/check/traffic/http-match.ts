import { compileRegex, RegexError } from '../../filter/linear-regex.js';
import type { RouteMatch, ValueMatch } from '../gateway-api-objects.js';
import type { HttpMatch, StringMatch } from '../istio-objects.js';
import type { Labels } from '../meta.js';

/** An HTTP request as a proxy sees it before it chooses a route. */
export interface HttpRequest {
  /** Host or `:authority`, without a port. */
  readonly host: string;
  /** With its query, if any. */
  readonly path: string;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** The port it was sent to; `null`: not told, so no match on a port speaks against a rule. */
  readonly port: number | null;
}

/** Whose request it is, where rules ask for that. */
export interface Sender {
  readonly namespace: string;
  readonly labels: Labels;
}

/** A pattern must fit the whole text, as Envoy's does. `undefined`: it is none that can be judged. */
export function fitsRegex(pattern: string, text: string): boolean | undefined {
  const ignoreCase = pattern.startsWith('(?i)');
  const body = ignoreCase ? pattern.slice(4) : pattern;
  try {
    return compileRegex(`${ignoreCase ? '(?i)' : ''}^(?:${body})$`).test(text);
  } catch (error) {
    if (error instanceof RegexError) return undefined;
    throw error;
  }
}

function fits({ kind, value }: StringMatch, text: string): boolean | undefined {
  switch (kind) {
    case 'exact':
      return text === value;
    case 'prefix':
      return text.startsWith(value);
    case 'regex':
      return fitsRegex(value, text);
    default:
      return kind satisfies never;
  }
}

const words = ({ kind, value }: StringMatch): string => `${kind} ${value}`;
const pathOf = ({ path }: HttpRequest): string => path.split(/[?#]/, 1)[0]!;

function queryOf({ path }: HttpRequest): ReadonlyMap<string, string> {
  const at = path.indexOf('?');
  return new Map(at < 0 ? [] : new URLSearchParams(path.slice(at + 1)));
}

/** A term that does not hold, in words; `null`: it holds; `undefined`: it cannot be judged. */
type Miss = string | null | undefined;

/** Why a rule's alternative does not take a request; `null`: it does; `undefined`: a pattern cannot be judged here. */
export function missOf(match: HttpMatch, request: HttpRequest, sender: Sender | null): Miss {
  return firstMiss([
    uriMiss(match, request),
    stringMiss('method', match.method, request.method),
    stringMiss('authority', match.authority, request.host),
    ...mapMisses('header', match.headers, (name) => headerValue(request, name)),
    ...[...match.withoutHeaders].map(([name, term]) => withoutMiss(name, term, request)),
    ...mapMisses('query parameter', match.queryParams, (name) => queryOf(request).get(name)),
    match.port !== null && request.port !== null && match.port !== request.port
      ? `port ${match.port} is asked for, the request is to ${request.port}`
      : null,
    sender && match.sourceNamespace !== null && match.sourceNamespace !== sender.namespace
      ? `only from namespace ${match.sourceNamespace}`
      : null,
    ...[...match.sourceLabels].map(([key, value]) =>
      sender && sender.labels.get(key) !== value ? `only from pods with ${key}=${value}` : null,
    ),
  ]);
}

/** A miss that is certain goes before one that is not known. */
function firstMiss(misses: readonly Miss[]): Miss {
  const certain = misses.find((miss) => typeof miss === 'string');
  if (certain !== undefined) return certain;
  return misses.includes(undefined) ? undefined : null;
}

function uriMiss({ uri, ignoreUriCase }: HttpMatch, request: HttpRequest): Miss {
  if (uri === null) return null;
  const path = pathOf(request);
  const fold = ignoreUriCase && uri.kind !== 'regex';
  const fit = fold ? fits({ ...uri, value: uri.value.toLowerCase() }, path.toLowerCase()) : fits(uri, path);
  if (fit !== false) return fit === undefined ? undefined : null;
  const near =
    uri.kind === 'exact' && path.startsWith(uri.value)
      ? ', which an exact match does not take'
      : path.toLowerCase() === uri.value.toLowerCase()
        ? ', which differs in case'
        : '';
  return `path is to be ${words(uri)}; it is ${path}${near}`;
}

function stringMiss(what: string, term: StringMatch | null, text: string): Miss {
  if (term === null) return null;
  const fit = fits(term, text);
  if (fit === undefined) return undefined;
  return fit ? null : `${what} is to be ${words(term)}; it is ${text}`;
}

/** Pseudo headers are asked for by name too. */
function headerValue(request: HttpRequest, name: string): string | undefined {
  switch (name.toLowerCase()) {
    case ':authority':
    case 'host':
      return request.host;
    case ':method':
      return request.method;
    case ':path':
      return request.path;
    default:
      return request.headers.get(name.toLowerCase());
  }
}

function mapMisses(
  what: string,
  terms: ReadonlyMap<string, StringMatch | null>,
  valueOf: (name: string) => string | undefined,
): readonly Miss[] {
  return [...terms].map(([name, term]) => {
    const value = valueOf(name);
    if (value === undefined) return `${what} ${name} is asked for`;
    return stringMiss(`${what} ${name}`, term, value);
  });
}

function withoutMiss(name: string, term: StringMatch | null, request: HttpRequest): Miss {
  const value = headerValue(request, name);
  if (value === undefined) return null;
  const fit = term === null ? true : fits(term, value);
  if (fit === undefined) return undefined;
  return fit ? `header ${name} must not be ${term === null ? 'there' : words(term)}` : null;
}

/** The same for a match of an HTTPRoute: prefixes are whole path elements there. */
export function kubeMissOf(match: RouteMatch, request: HttpRequest): Miss {
  const path = pathOf(request);
  const { kind, value } = match.path;
  const fit =
    kind === 'Exact'
      ? path === value
      : kind === 'RegularExpression'
        ? fitsRegex(value, path)
        : isElementPrefix(value, path);
  return firstMiss([
    fit === undefined ? undefined : fit ? null : `path is to be ${kind} ${value}; it is ${path}`,
    match.method !== null && match.method !== request.method
      ? `method is to be ${match.method}; it is ${request.method}`
      : null,
    ...match.headers.map((term) => valueMiss('header', term, headerValue(request, term.name))),
    ...match.queryParams.map((term) => valueMiss('query parameter', term, queryOf(request).get(term.name))),
  ]);
}

/** `/a` and `/a/` take `/a`, `/a/` and `/a/b`, not `/ab`. */
export function isElementPrefix(prefix: string, path: string): boolean {
  const base = prefix.replace(/\/$/, '');
  return path === base || path.startsWith(`${base}/`);
}

function valueMiss(what: string, { name, kind, value }: ValueMatch, given: string | undefined): Miss {
  if (given === undefined) return `${what} ${name} is asked for`;
  const fit = kind === 'Exact' ? given === value : fitsRegex(value, given);
  if (fit === undefined) return undefined;
  return fit ? null : `${what} ${name} is to be ${value}; it is ${given}`;
}

/** Whether every request that `narrow` takes is taken by `wide` as well. */
export function covers(wide: HttpMatch, narrow: HttpMatch): boolean {
  return (
    uriCovers(wide, narrow) &&
    termCovers(wide.scheme, narrow.scheme) &&
    termCovers(wide.method, narrow.method) &&
    termCovers(wide.authority, narrow.authority) &&
    mapCovers(wide.headers, narrow.headers) &&
    mapCovers(wide.queryParams, narrow.queryParams) &&
    // What must be absent: the same terms at least have to stand in the narrow one.
    [...wide.withoutHeaders].every(([name, term]) => sameTerm(narrow.withoutHeaders.get(name), term)) &&
    (wide.port === null || wide.port === narrow.port) &&
    (wide.sourceNamespace === null || wide.sourceNamespace === narrow.sourceNamespace) &&
    [...wide.sourceLabels].every(([key, value]) => narrow.sourceLabels.get(key) === value) &&
    (wide.gateways.length === 0 ||
      (narrow.gateways.length > 0 && narrow.gateways.every((name) => wide.gateways.includes(name))))
  );
}

const isEverything = ({ kind, value }: StringMatch): boolean =>
  (kind === 'prefix' && (value === '/' || value === '')) ||
  (kind === 'regex' && ['.*', '^.*$', '/.*', '^/.*$', '^/.*'].includes(value));

function uriCovers(wide: HttpMatch, narrow: HttpMatch): boolean {
  if (wide.uri === null || isEverything(wide.uri)) return true;
  if (narrow.uri === null) return false;
  if (wide.ignoreUriCase !== narrow.ignoreUriCase && wide.uri.kind !== 'regex') {
    if (!wide.ignoreUriCase) return false;
    return termCovers(folded(wide.uri), folded(narrow.uri));
  }
  return wide.ignoreUriCase
    ? termCovers(folded(wide.uri), folded(narrow.uri))
    : termCovers(wide.uri, narrow.uri);
}

const folded = (term: StringMatch): StringMatch =>
  term.kind === 'regex' ? term : { ...term, value: term.value.toLowerCase() };

function termCovers(wide: StringMatch | null, narrow: StringMatch | null): boolean {
  if (wide === null) return true;
  if (narrow === null) return false;
  if (wide.kind === 'prefix') return narrow.kind !== 'regex' && narrow.value.startsWith(wide.value);
  if (wide.kind === 'regex' && narrow.kind === 'exact') return fitsRegex(wide.value, narrow.value) === true;
  return sameTerm(wide, narrow);
}

const sameTerm = (a: StringMatch | null | undefined, b: StringMatch | null): boolean =>
  a === null || a === undefined || b === null ? a === b : a.kind === b.kind && a.value === b.value;

function mapCovers(
  wide: ReadonlyMap<string, StringMatch | null>,
  narrow: ReadonlyMap<string, StringMatch | null>,
): boolean {
  return [...wide].every(([name, term]) => {
    const other = narrow.get(name);
    return other !== undefined && termCovers(term, other);
  });
}
