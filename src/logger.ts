import type { Options } from './cli/options.js';
import { MeshtailError } from './errors.js';

/** The program's own diagnostics; results never pass here. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

const SILENT: Logger = { debug() {}, info() {}, warn() {} };

/** pino to stderr or `--log-file`, loaded only where it was asked for. @throws MeshtailError where the file cannot be written */
export async function loggerFor(options: Pick<Options, 'verbose' | 'logFile'>): Promise<Logger> {
  if (!options.verbose && options.logFile === undefined) return SILENT;
  const { default: pino } = await import('pino');
  try {
    // Synchronous: diagnostics must not be lost when the program ends early.
    const destination = pino.destination({ dest: options.logFile ?? 2, sync: true, mkdir: true });
    const logger = pino({ level: options.verbose ? 'debug' : 'info', base: null }, destination);
    return {
      debug: (facts, message) => logger.debug(facts, message),
      info: (facts, message) => logger.info(facts, message),
      warn: (facts, message) => logger.warn(facts, message),
    };
  } catch (error) {
    throw new MeshtailError('log-file', `--log-file ${options.logFile}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
