/**
 * Opens the files behind a kubeconfig, or the service account of a pod, and checks what is in them.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError } from "../config/problem.ts";
import type { Logger } from "../log.ts";
import { certificatesOf, keyPairProblem, privateKeyOf, validityProblem } from "./certificates.ts";
import type { Authorization, Connection } from "./connection.ts";
import {
  BARE_SOURCE,
  type ConnectionSource,
  normalizeServer,
  parseKubeconfig,
  type PemSource,
} from "./kubeconfig.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import {
  basicAuthorization,
  fixedAuthorization,
  NO_AUTHORIZATION,
  tokenFileAuthorization,
} from "./token.ts";

/** Where the kubelet mounts the service account of a pod. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What files of a connection may hold something else later: certificates are replaced in time. */
const PEM_FIELDS = ["caPem", "clientCertificatePem", "clientKeyPem"] as const;

/** What the configuration says about the API server, and where the program runs. */
export interface ConnectionOptions {
  /** Path of a kubeconfig; "": none. */
  readonly kubeconfig: string;
  /** URL that replaces the server of the kubeconfig; "": none. */
  readonly master: string;
  /** Environment of the process: KUBERNETES_SERVICE_HOST and _PORT inside of a pod. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/**
 * Finds the API server: kubeconfig, `--master`, or, with neither, the cluster around this pod
 * (API-01).
 *
 * @throws {ConfigError} naming the file, the field, and what is wrong.
 */
export async function loadConnection(options: ConnectionOptions): Promise<Connection> {
  const source = await loadSource(options);
  const context = { authorization: await openAuthorization(source), log: options.log };
  const connection = await openConnection(source, context);
  checkCertificates(connection, options.log);
  return connection;
}

async function openConnection(
  source: ConnectionSource,
  context: { readonly authorization: Authorization; readonly log: Logger },
): Promise<Connection> {
  const [caPem, clientCertificatePem, clientKeyPem] = await Promise.all(
    [source.ca, source.clientCertificate, source.clientKey].map((pem) => readPem(pem, source)),
  );
  const connection: Connection = {
    server: source.server,
    caPem,
    clientCertificatePem,
    clientKeyPem: clientKeyPem && privateKeyOf(clientKeyPem),
    tlsServerName: source.tlsServerName || undefined,
    insecureSkipTlsVerify: source.insecureSkipTlsVerify,
    authorization: context.authorization,
    origin: source.origin,
    async renew() {
      const next = await openConnection(source, context);
      if (PEM_FIELDS.every((field) => next[field] === connection[field])) return connection;
      checkCertificates(next, context.log);
      return next;
    },
  };
  return connection;
}

async function loadSource(options: ConnectionOptions): Promise<ConnectionSource> {
  const { kubeconfig, master } = options;
  if (kubeconfig !== "") {
    const path = resolve(kubeconfig);
    return parseKubeconfig(await readText(path, "--kubeconfig"), { path, master });
  }
  if (master === "") return inClusterSource(options);
  const server = normalizeServer(master, BARE_SOURCE);
  if (server === undefined) {
    throw new ConfigError([{ path: "--master", value: master, reason: "is no URL" }]);
  }
  return { ...BARE_SOURCE, origin: "--master", server };
}

function inClusterSource({ environment, log }: ConnectionOptions): ConnectionSource {
  const host = environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "";
  if (host === "" || port === "") {
    const reason = "must name a file: there is no --master, and this is not a pod of a cluster " +
      "(KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set)";
    throw new ConfigError([{ path: "clientConnection.kubeconfig", value: "", reason }]);
  }
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  log.info("Neither kubeconfig nor master given, using the service account of this pod", {
    server,
  });
  return {
    ...BARE_SOURCE,
    origin: SERVICE_ACCOUNT,
    server,
    ca: { kind: "file", path: `${SERVICE_ACCOUNT}/ca.crt` },
    tokenFile: `${SERVICE_ACCOUNT}/token`,
  };
}

async function openAuthorization(source: ConnectionSource): Promise<Authorization> {
  const { token, tokenFile } = source;
  if (tokenFile !== "") {
    const authorization = tokenFileAuthorization({
      read: () => readText(tokenFile, `${source.origin}: tokenFile`),
      fallbackToken: token,
      clock: SYSTEM_CLOCK,
    });
    await authorization.header();
    return authorization;
  }
  if (token !== "") return fixedAuthorization(`Bearer ${token}`);
  if (source.username !== "") return basicAuthorization(source.username, source.password);
  return NO_AUTHORIZATION;
}

function checkCertificates(connection: Connection, log: Logger): void {
  const { caPem, clientCertificatePem, clientKeyPem, origin } = connection;
  if (caPem !== undefined && certificatesOf(caPem).length === 0) {
    const reason = "has no certificate in PEM";
    throw new ConfigError([{ path: `${origin}: certificate-authority`, reason }]);
  }
  if (clientCertificatePem !== undefined && clientKeyPem !== undefined) {
    const reason = keyPairProblem(clientCertificatePem, clientKeyPem);
    if (reason !== undefined) {
      throw new ConfigError([{ path: `${origin}: client-certificate`, reason }]);
    }
  }
  warnOfValidity(connection, log);
}

/** No reason to give up: the clock may be wrong, or the files be replaced. */
function warnOfValidity({ caPem, clientCertificatePem, origin }: Connection, log: Logger): void {
  const files = { "certificate-authority": caPem, "client-certificate": clientCertificatePem };
  for (const [field, pem] of Object.entries(files)) {
    const [certificate] = certificatesOf(pem ?? "");
    const problem = certificate && validityProblem(certificate, SYSTEM_CLOCK.nowMs());
    if (certificate === undefined || problem === undefined) continue;
    log.error("A certificate is not valid now", {
      path: `${origin}: ${field}`,
      subject: certificate.subject,
      problem: `it ${problem}`,
    });
  }
}

async function readPem(
  source: PemSource | undefined,
  { origin }: ConnectionSource,
): Promise<string | undefined> {
  if (source === undefined) return undefined;
  return source.kind === "text" ? source.pem : await readText(source.path, origin);
}

async function readText(path: string, field: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const reason = `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new ConfigError([{ path: field, value: path, reason }], { cause });
  }
}
