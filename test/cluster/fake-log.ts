import { EventEmitter } from 'node:events';

/*
 * A container's log as a kubelet keeps and reads it: one live file, of which rotation takes the lines away, and readers
 * that hold a file open.
 */

/** A line with its time stamp; `text` is the whole logical line, without its newline. */
export interface LogLine {
  /** RFC 3339 in UTC with up to nine decimals. */
  readonly time: string;
  readonly text: string;
}

interface StoredLine {
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Nine decimals always. */
  readonly stamp: string;
  readonly text: string;
}

/** What the log endpoint takes, checked. */
export interface ReadOptions {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | null;
  /** Inclusive; ms since the epoch. */
  readonly sinceMs: number | null;
}

interface Events {
  /** Something was written, or the file changed. */
  moved: [];
}

type LogFile = StoredLine[];

export class ContainerLog extends EventEmitter<Events> {
  #file: LogFile = [];
  readonly #readers = new Set<LogReader>();

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  append(...lines: readonly LogLine[]): void {
    for (const line of lines) this.#file.push(stored(line));
    this.emit('moved');
  }

  /**
   * The live file is renamed and an empty one begins: what it held can be had no more, except by readers that have it
   * open, which read it to its end first. `stale`: they miss the new file and stay where they are, silent, until the
   * next rotation.
   */
  rotate(how: { readonly stale?: boolean } = {}): void {
    for (const reader of this.#readers) reader.stale = how.stale === true;
    this.#file = [];
    this.emit('moved');
  }

  get file(): LogFile {
    return this.#file;
  }

  open(options: ReadOptions): LogReader {
    const reader = new LogReader(this, options, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }
}

export class LogReader {
  readonly #log: ContainerLog;
  readonly #options: ReadOptions;
  #file: LogFile;
  #next: number;
  stale = false;
  readonly close: () => void;

  constructor(log: ContainerLog, options: ReadOptions, close: () => void) {
    this.#log = log;
    this.#options = options;
    this.#file = log.file;
    this.#next = options.tailLines === null ? 0 : Math.max(0, this.#file.length - options.tailLines);
    this.close = close;
  }

  /**
   * Up to about `atLeast` bytes of lines; empty at the end of what there is. A line older than `since` is left out
   * wherever it stands, also when it is written later.
   */
  read(atLeast: number): Buffer {
    let text = '';
    while (text.length < atLeast) {
      const line = this.#file[this.#next];
      if (line) {
        this.#next++;
        if (!this.#isTooOld(line))
          text += this.#options.timestamps ? `${line.stamp} ${line.text}\n` : `${line.text}\n`;
      } else if (this.#options.follow && !this.stale && this.#file !== this.#log.file) {
        // Whatever was rotated away between these two files is lost to this reader.
        this.#file = this.#log.file;
        this.#next = 0;
      } else break;
    }
    return Buffer.from(text);
  }

  #isTooOld(line: StoredLine): boolean {
    const { sinceMs } = this.#options;
    if (sinceMs === null) return false;
    const seconds = Math.floor(sinceMs / 1000);
    if (line.seconds !== seconds) return line.seconds < seconds;
    return line.nanoseconds < (sinceMs - seconds * 1000) * 1e6;
  }
}

function stored({ time, text }: LogLine): StoredLine {
  const parts = /^(.{19})(?:\.(\d{1,9}))?Z$/.exec(time);
  const seconds = parts ? Date.parse(`${parts[1]}Z`) / 1000 : NaN;
  if (!parts || Number.isNaN(seconds)) throw new Error(`no time stamp: ${time}`);
  const fraction = (parts[2] ?? '').padEnd(9, '0');
  return { seconds, nanoseconds: Number(fraction), stamp: `${parts[1]}.${fraction}Z`, text };
}
