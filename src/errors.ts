/** The process's exit statuses. */
export const ExitStatus = {
  ok: 0,
  /** The world failed: a file unreadable, an empty directory, a glob without match. */
  world: 1,
  usage: 2,
  /** `--fail-on` was met. */
  failOn: 3,
  /** The input held no access-log line. */
  noAccessLine: 4,
  interrupted: 130,
  terminated: 143,
} as const;

/** A failure of the world or of the command line, with what to do next. Bugs are other errors. */
export class MeshtailError extends Error {
  /** Stable, kebab-case: `file-not-found`. */
  readonly code: string;
  readonly hint: string | undefined;
  readonly exitStatus: number;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; exitStatus?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MeshtailError';
    this.code = code;
    this.hint = options.hint;
    this.exitStatus = options.exitStatus ?? ExitStatus.world;
  }
}

/** The command line is wrong; exit status 2. */
export function usageError(message: string, hint?: string): MeshtailError {
  return new MeshtailError('usage', message, { exitStatus: ExitStatus.usage, ...(hint && { hint }) });
}
