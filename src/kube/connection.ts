/**
 * Where the API server is and who we are to it: what a kubeconfig or a service account come to.
 *
 * @module
 */

/** How we prove who we are. Called for each request, so that rotated tokens are picked up. */
export interface Authorization {
  /** Value of the Authorization header; undefined when a client certificate is all there is. */
  header(): Promise<string | undefined>;
  /** The server did not take the last one: look for another before the next request. */
  distrust(): void;
}

/** Everything needed to open connections to an API server. */
export interface Connection {
  /** E.g. `https://10.0.0.1:6443`, without a slash at the end; a path in it is kept. */
  readonly server: string;
  /** PEM certificates to trust; undefined: those of the system. */
  readonly caPem: string | undefined;
  readonly clientCertificatePem: string | undefined;
  readonly clientKeyPem: string | undefined;
  /** Name to expect in the server's certificate; undefined: the host of `server`. */
  readonly tlsServerName: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly authorization: Authorization;
  /** Where this was read from, for messages. */
  readonly origin: string;
  /** Reads the certificates again. The same object when they are as before. */
  renew(): Promise<Connection>;
}
