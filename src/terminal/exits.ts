import type { Terminal } from './run.js';

/** Stops the program as ctrl-z does, and draws again when it goes on. */
export function suspended(terminal: Terminal): void {
  terminal.suspend();
  process.once('SIGCONT', () => terminal.resume());
  // Not SIGTSTP, which is caught here.
  process.kill(process.pid, 'SIGSTOP');
}

/** However the process ends, the terminal is given back. Returns what takes these arrangements down. */
export function restoreAtEnd(terminal: Terminal): () => void {
  const leave = (): void => terminal.leave();
  const hangUp = (): void => process.exit(128 + 1);
  const quit = (): void => process.exit(128 + 3);
  const suspend = (): void => suspended(terminal);
  // A bug: its trace belongs on the shell's screen, not on the one that goes.
  const crash = (error: unknown): void => {
    terminal.leave();
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  process.on('exit', leave);
  process.on('SIGHUP', hangUp);
  process.on('SIGQUIT', quit);
  process.on('SIGTSTP', suspend);
  return () => {
    process.off('uncaughtException', crash);
    process.off('unhandledRejection', crash);
    process.off('exit', leave);
    process.off('SIGHUP', hangUp);
    process.off('SIGQUIT', quit);
    process.off('SIGTSTP', suspend);
  };
}
