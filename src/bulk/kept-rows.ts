import { bitsOf, Text, type RowsKind } from '../aggregate/columns.js';
import { judge } from '../aggregate/failure.js';
import { isFromOwnPod } from '../aggregate/role.js';
import type { Observation } from '../aggregate/observation.js';
import { LineParser } from '../../parsers/index.js';
import { proxyOf, type StreamOrigin } from '../record/origin.js';
import { RecordCursor } from '../record/record-view.js';
import type { KeptLine } from './scanner/scanner.js';

/** `KEPT_FIELDS` of the scanner as columns. */
const OWN: readonly Text[] = [
  Text.path,
  Text.userAgent,
  Text.upstreamHost,
  Text.upstreamLocal,
  Text.downstreamLocal,
  Text.downstreamRemote,
  Text.requestId,
];

type Unread = Pick<KeptLine, 'bytes' | 'start' | 'end' | 'hash' | 'cell' | 'part' | 'line' | 'stream'>;

/** As long as texts keep their numbers. */
class Kinds {
  #numbering = 0;
  #known: (RowsKind | null | undefined)[] = [];

  of(numbering: number): (RowsKind | null | undefined)[] {
    if (numbering !== this.#numbering) this.#known = [];
    this.#numbering = numbering;
    return this.#known;
  }
}

/** Makes rows of the lines that a scanner kept. What it counted stands as Envoy writes it, so any parser reads it alike. */
export class KeptRows {
  readonly #parser = new LineParser();
  readonly #record = new RecordCursor();
  /** Of each part whose lines the scanner read, how many are before it. */
  readonly #linesBefore: number[] = [];
  /** What the lines of a tuple have in common, by its number; of the healthy, and of the failing lines. */
  readonly #kinds = [new Kinds(), new Kinds()];

  /** @param originOf a stream, by the number that the scanner knows it by */
  constructor(
    readonly observation: Observation,
    readonly originOf: (stream: number) => StreamOrigin,
  ) {}

  /** What the scanner reads from now on is of another part. */
  begin(linesBefore: number): void {
    this.#linesBefore.push(linesBefore);
  }

  /** The number of the part that the scanner reads, as it counts them too. */
  get part(): number {
    return this.#linesBefore.length;
  }

  /** Parses a line, as somebody would who had not read it. */
  parse({ bytes, start, end, hash, cell, part, line, stream }: Unread): void {
    const record = this.#record;
    this.#parser.parse({ bytes, start, end }, record);
    const place = { ...this.originOf(stream), line: this.#linesBefore[part - 1]! + line };
    const fromOwnPod = isFromOwnPod(
      record.text('upstream_local_address'),
      record.text('downstream_remote_address'),
    );
    this.observation.rows.keep(record, { outcome: judge(record), cell, fromOwnPod }, place, hash);
  }

  /** A line that stays. */
  add(line: KeptLine, failing: boolean): void {
    const kind = line.read ? this.#kindOf(line.name, failing, line.stream) : null;
    if (!kind) return this.parse(line);
    const number = this.#linesBefore[line.part - 1]! + line.line;
    this.observation.rows.keepRead(failing, kind, line, number, OWN);
  }

  /** `null` where not all that its lines have in common is known. */
  #kindOf(tuple: number, failing: boolean, stream: number): RowsKind | null {
    const { numbering } = this.observation.rows.columnsOf(failing);
    const known = this.#kinds[Number(failing)]!.of(numbering);
    return (known[tuple] ??= this.#newKind(tuple, failing, stream));
  }

  #newKind(tuple: number, failing: boolean, stream: number): RowsKind | null {
    const { tally, rows } = this.observation;
    if (!tally.isWhole(tuple)) return null;
    const told = tally.told(tuple);
    const { group, cluster } = told;
    const origin = this.originOf(stream);
    const format = tally.format(tuple);
    return rows.columnsOf(failing).kindOf(
      [
        [Text.method, tally.text(tuple, 'method')],
        [Text.protocol, tally.text(tuple, 'protocol')],
        [Text.flags, tally.text(tuple, 'response_flags')],
        [Text.details, tally.text(tuple, 'response_code_details')],
        [Text.termination, tally.text(tuple, 'connection_termination_details')],
        [Text.transportFailure, tally.text(tuple, 'upstream_transport_failure_reason')],
        [Text.authority, tally.text(tuple, 'authority')],
        [Text.serverName, tally.text(tuple, 'requested_server_name')],
        [Text.route, tally.text(tuple, 'route_name')],
        [Text.format, format],
        [Text.proxy, proxyOf(origin)],
        [Text.pod, origin.pod],
        [Text.file, origin.file],
        [Text.cluster, cluster?.name ?? null],
        [Text.direction, group.direction],
        [Text.error, null],
        [Text.service, null],
        [Text.sourceWorkload, null],
        [Text.targetWorkload, null],
        [Text.sourceIdentity, null],
      ],
      group.responseCode ?? NaN,
      bitsOf(told, format),
    );
  }
}
