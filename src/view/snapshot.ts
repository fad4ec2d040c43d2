import type { Ending } from '../diagnosis/diagnose.js';
import type { Fact, NextStep } from '../diagnosis/hypothesis.js';
import type { Marker } from './live.js';

/*
 * What the screen is told, as plain data: it may come from another thread, from a replay or from a live mesh. Times are ms
 * since the Unix epoch. Requests are counted at the outermost proxy that logged them.
 *
 * A live source answers the same `Spec` with the same `Snapshot`, anew whenever there is more to tell (at most ten times a
 * second are drawn): `spec` is the last one asked, `now` the time up to which lines were counted where `spec.now` is null,
 * `first` the beginning of what is kept. How the connection stands goes beside it: see live.
 */

/** By what failures can be split on the screen. */
export const VIEW_DIMENSIONS = [
  'pod',
  'host',
  'caller',
  'path',
  'method',
  'authority',
  'route',
  'agent',
] as const;
export type ViewDimension = (typeof VIEW_DIMENSIONS)[number];

/** Which lines a pane is about: those of one table row (`null`: of all), narrowed by values step by step. */
export interface Scope {
  readonly row: string | null;
  readonly where: readonly { readonly dimension: ViewDimension; readonly value: string }[];
}

/** The time that is counted: `last` ms before the moment shown, or a range; both `null`: everything so far. */
export interface Window {
  readonly last: number | null;
  readonly range: readonly [number, number] | null;
}

/** Whose journey is shown: that of an example among the failures of a table row, or of the request of one line. */
export type JourneyOf = { readonly row: string } | { readonly ref: string };

export type PaneSpec =
  | { readonly kind: 'none' }
  | { readonly kind: 'values'; readonly scope: Scope; readonly dimension: ViewDimension }
  | {
      readonly kind: 'lines';
      readonly scope: Scope;
      /** Healthy lines too. */
      readonly all: boolean;
      /** First line wanted; -1: the last ones. */
      readonly from: number;
      readonly count: number;
    }
  | { readonly kind: 'record'; readonly ref: string }
  | { readonly kind: 'journey'; readonly of: JourneyOf; readonly columns: number };

/** What the screen asks for; the whole of what an answer depends on. */
export interface Spec {
  /** The virtual moment; `null`: the end of what has been read. */
  readonly now: number | null;
  /** The moments asked for follow each other by themselves. */
  readonly playing: boolean;
  readonly window: Window;
  /** A filter that compiles; `''`: none. */
  readonly filter: string;
  /** Cells of the timeline. */
  readonly cells: number;
  readonly pane: PaneSpec;
}

export interface Reading {
  readonly done: boolean;
  /** 0..1; `null` where the input has no known size. */
  readonly share: number | null;
  readonly lines: number;
  readonly inputs: number;
  readonly inputsDone: number;
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
}

export interface Explanation {
  readonly cause: string;
  readonly title: string;
  readonly summary: string;
  readonly severity: string;
  readonly verdict: string;
  readonly confidence: string;
  readonly why: string;
  readonly onset: number;
  readonly last: number;
  readonly beganBeforeInput: boolean;
  readonly end: Ending;
  /** Requests of the same callers to the same places that went well after the last failure. */
  readonly goodAfter: number;
  readonly failures: number;
  readonly requests: number;
  /** Where the fault lies, in words. */
  readonly place: string;
  readonly evidence: readonly Fact[];
  readonly against: readonly Fact[];
  /** What checks of the cluster found at the place of fault; of a replay there are none. */
  readonly checked: readonly {
    readonly effect: 'confirms' | 'supports' | 'refutes';
    readonly text: string;
  }[];
  readonly alternatives: readonly { readonly cause: string; readonly confidence: string }[];
  readonly next: readonly NextStep[];
  readonly fix: readonly string[];
  /** One of the failed requests, in a line; `null` where only one proxy logged it. */
  readonly example: string | null;
  /** `8 s after payments rev 42`; `null`: nothing that is known of was changed before. */
  readonly after: string | null;
  /** The workload whose log would tell more, and why; `null`: none is known. */
  readonly widen: string | null;
}

/** An incident, or a failing group that belongs to none. */
export interface TableRow {
  /** The same thing keeps its key from moment to moment. */
  readonly key: string;
  readonly severity: string;
  /** The verdict; `''` where nobody is to act. */
  readonly who: string;
  readonly flag: string;
  /** Where it was decided. */
  readonly code: string;
  /** What came of it at the outermost proxy that logged it. */
  readonly seenCode: string;
  readonly failures: number;
  readonly requests: number;
  readonly ratePerSecond: number;
  /** 0..1; `null` where the input holds failures only. */
  readonly share: number | null;
  readonly upstream: string;
  readonly where: string;
  readonly since: number;
  readonly explanation: Explanation | null;
}

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly total: readonly number[];
  readonly failed: readonly number[];
  /** Failed attempts that a retry hid from the caller. */
  readonly masked: readonly number[];
}

export interface Traffic {
  readonly name: string;
  readonly requests: number;
  readonly failures: number;
  readonly app4xx: number;
  readonly ratePerSecond: number;
  readonly medianMs: number | null;
  readonly maxMs: number | null;
}

/** What was read of one log; how a followed one stands is said by the `LiveStream` of the same name. */
export interface Stream {
  /** The pod, else the file. */
  readonly name: string;
  readonly format: string;
  readonly role: string;
  readonly lines: number;
  readonly records: number;
  readonly malformed: number;
  readonly failures: number;
  readonly first: number;
  readonly last: number;
}

export interface LineItem {
  readonly ref: string;
  readonly time: number;
  readonly code: number | null;
  readonly flags: string;
  readonly details: string;
  readonly method: string;
  readonly path: string;
  readonly durationMs: number;
  readonly host: string;
  readonly pod: string;
  readonly failure: boolean;
  /** All of it in Istio's default layout. */
  readonly text: string;
}

/** An access line of a journey; its cells have one width in all lines, but for the bar. */
export interface JourneyHop {
  readonly ref: string;
  readonly who: string;
  readonly reply: string;
  readonly took: string;
  readonly bar: string;
  /** Beside the reply: where it sent the request, and its word for how that ended; `''`: nothing more. */
  readonly saw: string;
  readonly failure: boolean;
  readonly decided: boolean;
}

export interface RecordField {
  readonly name: string;
  readonly value: string;
  /** What this very value means, where that is known: a flag, response code details. */
  readonly note: string;
}

export type PaneData =
  | {
      readonly kind: 'values';
      readonly dimension: ViewDimension;
      readonly scope: Scope;
      readonly values: readonly {
        readonly value: string;
        /** Whose address it is, where a cluster told. */
        readonly name?: string;
        readonly failures: number;
        readonly requests: number;
      }[];
      readonly failures: number;
      readonly requests: number;
    }
  | {
      readonly kind: 'lines';
      readonly scope: Scope;
      readonly all: boolean;
      readonly from: number;
      readonly total: number;
      readonly lines: readonly LineItem[];
    }
  | {
      readonly kind: 'record';
      readonly ref: string;
      readonly place: string;
      readonly raw: string | null;
      readonly fields: readonly RecordField[];
    }
  | {
      readonly kind: 'journey';
      readonly of: JourneyOf;
      readonly what: string;
      readonly when: string;
      readonly requestId: string | null;
      /** One a line, each before those it called. */
      readonly hops: readonly JourneyHop[];
      readonly leftOut: number;
      readonly findings: readonly { readonly label: string; readonly text: string; readonly ref: string }[];
    };

export interface Snapshot {
  /** What this answers. */
  readonly spec: Spec;
  /** False: a first answer, counted and not yet explained; the other one follows. */
  readonly explained: boolean;
  readonly now: number;
  /** Of all that was read. */
  readonly first: number;
  readonly last: number;
  /** Records that lie after the moment shown. */
  readonly ahead: number;
  readonly reading: Reading;
  readonly lines: number;
  readonly records: number;
  readonly foreign: number;
  readonly malformed: number;
  /** Part of the healthy lines that are kept, where there were too many: 1 is all. */
  readonly sampled: number;
  readonly proxies: number;
  readonly errorsOnly: boolean;
  readonly requests: number;
  /** Without what was dismissed. */
  readonly failures: number;
  readonly app4xx: number;
  /** Failed requests by code, most first. */
  readonly byCode: readonly (readonly [string, number])[];
  readonly ratePerSecond: number;
  readonly onset: number | null;
  readonly timeline: Timeline;
  /** By time, none after `now`; a replay knows none. */
  readonly markers: readonly Marker[];
  readonly rows: readonly TableRow[];
  readonly dismissed: readonly {
    readonly cause: string;
    readonly title: string;
    readonly count: number;
    readonly why: string;
  }[];
  readonly upstreams: readonly Traffic[];
  readonly pods: readonly Traffic[];
  readonly streams: readonly Stream[];
  readonly pane: PaneData | null;
}
