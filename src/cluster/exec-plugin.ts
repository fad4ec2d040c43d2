import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { isatty } from 'node:tty';
import { MeshtailError } from '../errors.js';
import type { Access, ExecPlugin } from './access.js';

/*
 * client-go credential plugins: a program that prints who we are.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */

/** `status` of the ExecCredential that a plugin prints. */
export interface ExecCredential {
  readonly token: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** ms since the Unix epoch; `Infinity`: good until the server refuses it. */
  readonly validUntil: number;
}

/** How long a plugin that cannot ask a person may take. */
const PATIENCE_MS = 120_000;
/** Of what a failed plugin wrote to its stderr, the end. */
const STDERR_KEPT = 2000;

/**
 * Runs the plugin. With `mayAsk` one that wants it gets the terminal, to ask for a password or to show a code; so only
 * before a screen is there.
 */
export async function runExecPlugin(
  plugin: ExecPlugin,
  { user, env }: Pick<Access, 'user' | 'env'>,
  authority: string | undefined,
  mayAsk: boolean,
): Promise<ExecCredential> {
  const interactive = mayAsk && plugin.interactiveMode !== 'Never' && isatty(0);
  if (plugin.interactiveMode === 'Always' && !interactive) {
    throw new MeshtailError('exec-plugin-needs-terminal', `${named(plugin, user)} has to ask at a terminal`, {
      hint: mayAsk
        ? 'Standard input is not a terminal; start meshtail from one.'
        : 'It can ask at the start only: quit and start meshtail again.',
    });
  }
  const info = {
    kind: 'ExecCredential',
    apiVersion: plugin.apiVersion,
    spec: {
      interactive,
      ...(plugin.cluster && {
        cluster: {
          ...plugin.cluster,
          ...(authority !== undefined && {
            'certificate-authority-data': Buffer.from(authority, 'latin1').toString('base64'),
          }),
        },
      }),
    },
  };
  const ended = await run(
    plugin,
    { ...env, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    interactive,
    mayAsk,
  ).catch((error: NodeJS.ErrnoException) => {
    throw notStarted(plugin, user, error);
  });
  if (ended.status !== 0) throw failed(plugin, user, ended);
  return credentialOf(plugin, user, ended.stdout);
}

interface Ended {
  /** `null`: a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  /** `undefined`: the person has seen it. */
  readonly stderr: string | undefined;
  readonly timedOut: boolean;
}

/** Later than at the start it has a session of its own: it cannot open the terminal, which a screen may have. */
function run(
  plugin: ExecPlugin,
  env: Record<string, string>,
  interactive: boolean,
  mayAsk: boolean,
): Promise<Ended> {
  const child = spawn(plugin.command, plugin.args, {
    env,
    stdio: interactive ? ['inherit', 'pipe', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    detached: !mayAsk,
  });
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const ended = (status: number | null, timedOut: boolean): void => {
      clearTimeout(late);
      resolve({ status, stdout, stderr: interactive ? undefined : stderr, timedOut });
    };
    // What it started may hold the pipes open longer, so its end is not waited for.
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      child.stdout!.destroy();
      child.stderr?.destroy();
      ended(null, true);
    }, PATIENCE_MS);
    if (interactive) clearTimeout(late);
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
    });
    child.on('close', (status) => ended(status, false));
    child.on('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
  });
}

function named({ command }: ExecPlugin, user: string): string {
  return `the credential plugin ${command} of user ${user}`;
}

function notStarted(plugin: ExecPlugin, user: string, error: NodeJS.ErrnoException): MeshtailError {
  if (error.code !== 'ENOENT') {
    return new MeshtailError(
      'exec-plugin-failed',
      `cannot run ${named(plugin, user)}: ${error.code ?? error.message}`,
      {
        hint: `Look at its mode: ls -l ${plugin.command}`,
        cause: error,
      },
    );
  }
  const where = plugin.command.includes('/') ? `in ${dirname(plugin.command)}` : 'in PATH';
  return new MeshtailError('exec-plugin-missing', `${named(plugin, user)} is not ${where}`, {
    hint: plugin.installHint?.trim() ?? 'Install it, or add its directory to PATH; kubectl needs it too.',
    cause: error,
  });
}

function failed(plugin: ExecPlugin, user: string, { status, stderr, timedOut }: Ended): MeshtailError {
  const how = timedOut
    ? `took longer than ${PATIENCE_MS / 1000} s`
    : status === null
      ? 'was killed'
      : `failed with exit status ${status}`;
  const said = stderr?.trim();
  const hint = [
    said
      ? `It said:\n${said.replace(/^/gm, '  ')}`
      : stderr === undefined
        ? 'What it said is above.'
        : 'It said nothing.',
    `Try it by hand: ${[plugin.command, ...plugin.args].join(' ')}`,
  ];
  return new MeshtailError('exec-plugin-failed', `${named(plugin, user)} ${how}`, { hint: hint.join('\n') });
}

/** Nothing of the output gets into an error: it may be a secret. */
function credentialOf(plugin: ExecPlugin, user: string, stdout: string): ExecCredential {
  const bad = (what: string) =>
    new MeshtailError('exec-plugin-answer', `${named(plugin, user)} ${what}`, {
      hint: `Its output should be an ExecCredential of ${plugin.apiVersion}; see: ${[plugin.command, ...plugin.args].join(' ')}`,
    });
  let answer: Readonly<Record<string, unknown>> | null;
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch {
    throw bad(stdout.trim() === '' ? 'printed nothing' : 'printed something that is not JSON');
  }
  if (answer?.['kind'] !== 'ExecCredential') throw bad('printed no ExecCredential');
  if (answer['apiVersion'] !== plugin.apiVersion) {
    throw bad(
      `answered in ${String(answer['apiVersion'])}, but the kubeconfig asks for ${plugin.apiVersion}`,
    );
  }
  const status = (answer['status'] ?? {}) as Readonly<Record<string, unknown>>;
  const text = (key: string) =>
    typeof status[key] === 'string' && status[key] !== '' ? status[key] : undefined;
  const token = text('token')?.trim();
  const certificate = text('clientCertificateData');
  const key = text('clientKeyData');
  if ((certificate === undefined) !== (key === undefined)) {
    throw bad(
      `gave a client ${certificate === undefined ? 'key without its certificate' : 'certificate without its key'}`,
    );
  }
  if (token === undefined && certificate === undefined)
    throw bad('gave neither a token nor a client certificate');
  const expiry = Date.parse(text('expirationTimestamp') ?? '');
  return { token, certificate, key, validUntil: Number.isNaN(expiry) ? Infinity : expiry };
}
