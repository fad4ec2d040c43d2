/*
 * What is known of a cluster and of us before anything was asked: plain data, so that a worker thread can be given it.
 * It holds secrets and is never logged.
 */

/** PEM text, or the file that it is read from at each authentication: rotated certificates are seen. */
export type Pem = { readonly text: string } | { readonly file: string };

/** `users[].user.exec`: a client-go credential plugin. */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** As it is run: absolute where it had a slash, else looked up in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly interactiveMode: 'Never' | 'IfAvailable' | 'Always';
  readonly installHint: string | undefined;
  /** `spec.cluster` of KUBERNETES_EXEC_INFO, where the plugin wants it; the authority is added from `tls`. */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
}

/** `users[].user.auth-provider`: oidc, and gcp and azure of old. The library writes a renewed token into `config`. */
export interface AuthProvider {
  readonly name: string;
  readonly config: Record<string, string>;
}

/**
 * How we say who we are. Of several, kubectl 1.36 takes the token file, the token, name and password, the plugin; a
 * certificate goes with each.
 */
export interface Authentication {
  readonly certificate: Pem | undefined;
  readonly key: Pem | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  readonly exec: ExecPlugin | undefined;
  readonly provider: AuthProvider | undefined;
}

export const ANONYMOUS: Authentication = {
  certificate: undefined,
  key: undefined,
  token: undefined,
  tokenFile: undefined,
  basic: undefined,
  exec: undefined,
  provider: undefined,
};

export interface Access {
  /** `null`: in-cluster. */
  readonly context: string | null;
  /** http or https, with the path that the API is below, if any; no slash at its end. */
  readonly server: string;
  readonly namespace: string;
  readonly user: string;
  readonly tls: {
    readonly authority: Pem | undefined;
    readonly serverName: string | undefined;
    readonly insecure: boolean;
  };
  /** URL of the proxy to the server. */
  readonly proxy: string | undefined;
  readonly authentication: Authentication;
  /** The Impersonate-* headers. */
  readonly impersonation: Readonly<Record<string, string | readonly string[]>>;
  /** What a plugin is started with. */
  readonly env: Readonly<Record<string, string>>;
}
