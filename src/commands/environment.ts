import type { Readable, Writable } from 'node:stream';
import type { Logger } from '../logger.js';

/** What a command may touch of the world; passed in, so that a test can stand in for it. */
export interface Environment {
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** The process's environment variables: TERM, NO_COLOR and their like. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Warnings for people; `lines` follow as they are, so that a command in them can be copied. */
  readonly warn: (message: string, lines?: readonly string[]) => void;
  /** One line on stderr in place of the one before, `''` for none; `undefined` where no terminal shows it. */
  readonly status?: ((text: string) => void) | undefined;
  readonly log: Logger;
  /** Called on SIGINT or SIGTERM instead of an end at once: what is under way ends itself, and the run with it. */
  readonly onStop: (stop: () => void) => void;
}
