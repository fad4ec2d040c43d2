import { hostOf } from '../record/address.js';
import { detailsClass } from '../record/response-code-details.js';
import { flagSetKey, parseFlags, type FlagSet } from '../record/response-flags.js';
import { ABSENT } from '../record/span.js';
import { parseUpstreamCluster, type Direction, type UpstreamCluster } from '../record/upstream-cluster.js';
import type { Clocks } from './clocks.js';
import {
  ANSWERERS,
  APP_4XX,
  FAILURE,
  Figure,
  HTTP,
  STAMPED_AT_END,
  Text,
  TUNNEL,
  type Columns,
} from './columns.js';
import { fromOwnPodIn } from './role.js';
import type { AnsweredBy } from './failure.js';
import { groupKeyText } from './group-key.js';
import { pathTemplate } from './path-template.js';

const NO_FLAGS = parseFlags('-');
const classOf = (details: string): string => (details ? detailsClass(details) : details);

/** What many lines have in common, beside code and bits: columns of few values. What follows from them is worked out once. */
export const KIND_TEXTS = [
  Text.method,
  Text.protocol,
  Text.flags,
  Text.details,
  Text.termination,
  Text.transportFailure,
  Text.authority,
  Text.downstreamLocal,
  Text.serverName,
  Text.route,
  Text.format,
  Text.proxy,
  Text.pod,
  Text.file,
  Text.cluster,
  Text.direction,
  Text.service,
] as const;

/** The kind of one row, and of all rows that have the same texts and figures there. */
export class SharedKind {
  readonly format: string;
  /** Whose log it stands in: pod, else file. */
  readonly proxy: string;
  readonly pod: string | null;
  readonly file: string | null;
  readonly method: string | null;
  readonly protocol: string | null;
  readonly code: number | null;
  readonly flags: FlagSet;
  readonly details: string | null;
  /** Whether the layout has response code details at all. */
  readonly hasDetails: boolean;
  readonly detailsClass: string | null;
  readonly termination: string | null;
  readonly transportFailure: string | null;
  readonly authority: string | null;
  readonly cluster: UpstreamCluster | null;
  readonly downstreamLocal: string | null;
  readonly serverName: string | null;
  readonly route: string | null;
  readonly direction: Direction;
  /** ztunnel: the host of the service that was meant. */
  readonly service: string | null;
  readonly answeredBy: AnsweredBy;
  readonly failure: boolean;
  readonly http: boolean;
  readonly app4xx: boolean;
  readonly tunnel: boolean;
  readonly stampedAtEnd: boolean;
  /** Whether the call came from the proxy's own pod; `null` where the lines do not say. */
  readonly fromOwnPod: boolean | null;
  /** How far the clock of its proxy is ahead of the others', ms. */
  readonly ahead: number;
  #groupKey: string | undefined;

  constructor(
    readonly columns: Columns,
    row: number,
    clocks: Clocks,
  ) {
    const { texts, figures } = columns;
    const text = (column: Text): string | null => texts[column]!.text(row);
    const bits = figures[Figure.bits]![row]!;
    const code = figures[Figure.code]![row]!;
    this.format = text(Text.format) ?? '';
    this.proxy = text(Text.proxy) ?? '';
    this.pod = text(Text.pod);
    this.file = text(Text.file);
    this.method = text(Text.method);
    this.protocol = text(Text.protocol);
    this.code = Number.isNaN(code) ? null : code;
    this.flags = texts[Text.flags]!.derived(row, parseFlags) ?? NO_FLAGS;
    this.details = text(Text.details);
    this.hasDetails = texts[Text.details]!.ids[row] !== ABSENT;
    this.detailsClass = texts[Text.details]!.derived(row, classOf);
    this.termination = text(Text.termination);
    this.transportFailure = text(Text.transportFailure);
    this.authority = text(Text.authority);
    this.cluster = texts[Text.cluster]!.derived(row, parseUpstreamCluster);
    this.downstreamLocal = text(Text.downstreamLocal);
    this.serverName = text(Text.serverName);
    this.route = text(Text.route);
    this.direction = text(Text.direction) as Direction;
    this.service = text(Text.service);
    this.answeredBy = ANSWERERS[bits & 3]!;
    this.failure = (bits & FAILURE) !== 0;
    this.http = (bits & HTTP) !== 0;
    this.app4xx = (bits & APP_4XX) !== 0;
    this.tunnel = (bits & TUNNEL) !== 0;
    this.stampedAtEnd = (bits & STAMPED_AT_END) !== 0;
    this.fromOwnPod = fromOwnPodIn(bits);
    this.ahead = clocks.aheadOf(this.proxy);
  }

  /** One object for all lines of a kind. */
  get kind(): Kind {
    return this;
  }

  has(flag: string): boolean {
    return this.flags.includes(flag);
  }

  /** The failure group that the line belongs to. */
  get groupKey(): string {
    return (this.#groupKey ??= groupKeyText({
      direction: this.direction,
      upstreamCluster: this.cluster?.name ?? null,
      responseCode: this.code,
      responseFlags: this.flags,
      detailsClass: this.detailsClass,
    }));
  }
}

/** What may be asked of a line without asking which one of its kind it is. */
export type Kind = Omit<SharedKind, 'columns' | 'stampedAtEnd' | 'ahead'>;

/** One kept line. Times in ms since the Unix epoch, durations in ms, sizes in bytes; `null` is Envoy's `-` or an absent field. */
export class Row implements Kind {
  readonly #columns: Columns;
  readonly #index: number;
  readonly #kind: SharedKind;
  /** When the request began, by the time that the proxies agree on. */
  readonly start: number;
  readonly duration: number;
  /** Its own among all that are kept, from 0 without a gap, in the order of time. */
  ordinal = -1;

  constructor(
    kind: SharedKind,
    index: number,
    /** How many lines of the input this one stands for: 1 while all are kept. */
    readonly weight: number,
  ) {
    this.#columns = kind.columns;
    this.#index = index;
    this.#kind = kind;
    const time = this.#figure(Figure.time) - kind.ahead;
    this.duration = this.#nullable(Figure.duration) ?? 0;
    this.start = kind.stampedAtEnd ? time - this.duration : time;
  }

  #text(column: Text): string | null {
    return this.#columns.texts[column]!.text(this.#index);
  }
  #derived<T>(column: Text, compute: (text: string) => T): T | null {
    return this.#columns.texts[column]!.derived(this.#index, compute);
  }
  #figure(column: Figure): number {
    return this.#columns.figures[column]![this.#index]!;
  }
  #nullable(column: Figure): number | null {
    const value = this.#figure(column);
    return Number.isNaN(value) ? null : value;
  }

  get kind(): Kind {
    return this.#kind;
  }
  /** How far the clock of its proxy is ahead of the others', ms. */
  get ahead(): number {
    return this.#kind.ahead;
  }
  /** The start as its proxy logged it. */
  get loggedStart(): number {
    return this.#figure(Figure.time);
  }
  /** When the request ended: start and duration. Crashes and connect timeouts align here. */
  get end(): number {
    return this.start + this.duration;
  }
  get serviceTime(): number | null {
    return this.#nullable(Figure.serviceTime);
  }
  get received(): number | null {
    return this.#nullable(Figure.received);
  }
  get sent(): number | null {
    return this.#nullable(Figure.sent);
  }
  get code(): number | null {
    return this.#kind.code;
  }
  get line(): number {
    return this.#figure(Figure.line);
  }
  get format(): string {
    return this.#kind.format;
  }
  get proxy(): string {
    return this.#kind.proxy;
  }
  get pod(): string | null {
    return this.#kind.pod;
  }
  get file(): string | null {
    return this.#kind.file;
  }
  get method(): string | null {
    return this.#kind.method;
  }
  get path(): string | null {
    return this.#text(Text.path);
  }
  get pathTemplate(): string | null {
    return this.#derived(Text.path, pathTemplate);
  }
  get protocol(): string | null {
    return this.#kind.protocol;
  }
  get flags(): FlagSet {
    return this.#kind.flags;
  }
  /** The set of flags as one text, sorted; `""` for none. */
  get flagSet(): string {
    return flagSetKey(this.flags);
  }
  has(flag: string): boolean {
    return this.#kind.flags.includes(flag);
  }
  get details(): string | null {
    return this.#kind.details;
  }
  get hasDetails(): boolean {
    return this.#kind.hasDetails;
  }
  get detailsClass(): string | null {
    return this.#kind.detailsClass;
  }
  get termination(): string | null {
    return this.#kind.termination;
  }
  get transportFailure(): string | null {
    return this.#kind.transportFailure;
  }
  get userAgent(): string | null {
    return this.#text(Text.userAgent);
  }
  get authority(): string | null {
    return this.#kind.authority;
  }
  get upstreamHost(): string | null {
    return this.#text(Text.upstreamHost);
  }
  /** The upstream host without its port. */
  get upstreamIp(): string | null {
    return this.#derived(Text.upstreamHost, hostOf);
  }
  get cluster(): UpstreamCluster | null {
    return this.#kind.cluster;
  }
  get upstreamLocal(): string | null {
    return this.#text(Text.upstreamLocal);
  }
  get downstreamLocal(): string | null {
    return this.#kind.downstreamLocal;
  }
  get downstreamRemote(): string | null {
    return this.#text(Text.downstreamRemote);
  }
  /** The downstream peer without its port: the caller's pod, or a client from X-Forwarded-For. */
  get peer(): string | null {
    return this.#derived(Text.downstreamRemote, hostOf);
  }
  get serverName(): string | null {
    return this.#kind.serverName;
  }
  get route(): string | null {
    return this.#kind.route;
  }
  get direction(): Direction {
    return this.#kind.direction;
  }
  get requestId(): string | null {
    return this.#text(Text.requestId);
  }
  /** ztunnel: the sentence that says what failed. */
  get error(): string | null {
    return this.#text(Text.error);
  }
  get service(): string | null {
    return this.#kind.service;
  }
  /** ztunnel: the pods at both ends. */
  get sourceWorkload(): string | null {
    return this.#text(Text.sourceWorkload);
  }
  get targetWorkload(): string | null {
    return this.#text(Text.targetWorkload);
  }
  /** ztunnel: the caller's SPIFFE identity. */
  get sourceIdentity(): string | null {
    return this.#text(Text.sourceIdentity);
  }
  get answeredBy(): AnsweredBy {
    return this.#kind.answeredBy;
  }
  get failure(): boolean {
    return this.#kind.failure;
  }
  get http(): boolean {
    return this.#kind.http;
  }
  get app4xx(): boolean {
    return this.#kind.app4xx;
  }
  get tunnel(): boolean {
    return this.#kind.tunnel;
  }
  get fromOwnPod(): boolean | null {
    return this.#kind.fromOwnPod;
  }
  get groupKey(): string {
    return this.#kind.groupKey;
  }
  /** All that tells one line from another; `null` for a line that names no connection. */
  get wholeText(): string | null {
    if (this.downstreamRemote === null || this.file === null) return null;
    const texts = TELLING.map((column) => this.#text(column) ?? '');
    return [...texts, this.duration, this.code, this.received, this.sent].join('\n');
  }
}

const TELLING = [
  Text.requestId,
  Text.path,
  Text.flags,
  Text.upstreamHost,
  Text.upstreamLocal,
  Text.downstreamLocal,
  Text.downstreamRemote,
  Text.direction,
] as const;
