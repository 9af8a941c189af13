/**
 * What a kubeconfig says about the cluster and the user of its current context. No file that it
 * names is read here. What would change who we are or how we get there, and is not supported, is
 * refused: going on without it would be going on as somebody else.
 *
 *     current-context: default
 *     contexts: [{name: default, context: {cluster: default, user: default}}]
 *     clusters: [{name: default, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.crt}}]
 *     users: [{name: default, user: {tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token}}]
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { ConfigError } from "../config/problem.ts";
import { isGiven, type JsonObject, listAt, objectAt, parseObject, textAt } from "./json.ts";

/** PEM text, or the file it is in. */
export type PemSource =
  | { readonly kind: "text"; readonly pem: string }
  | { readonly kind: "file"; readonly path: string };

/** A connection whose files have not been read yet. */
export interface ConnectionSource {
  /** Where it was written. */
  readonly origin: string;
  readonly server: string;
  readonly ca: PemSource | undefined;
  readonly clientCertificate: PemSource | undefined;
  readonly clientKey: PemSource | undefined;
  /** "": none. */
  readonly token: string;
  /** "": none. Wins over `token`. */
  readonly tokenFile: string;
  /** "": none. */
  readonly username: string;
  readonly password: string;
  /** "": the host of `server`. */
  readonly tlsServerName: string;
  readonly insecureSkipTlsVerify: boolean;
}

/** A connection without any credentials: what `--master` alone means. */
export const BARE_SOURCE: Omit<ConnectionSource, "origin" | "server"> = {
  ca: undefined,
  clientCertificate: undefined,
  clientKey: undefined,
  token: "",
  tokenFile: "",
  username: "",
  password: "",
  tlsServerName: "",
  insecureSkipTlsVerify: false,
};

/** Fields of a cluster and of a user that we do not support. */
const REFUSED_CLUSTER_FIELDS = ["proxy-url"];
const REFUSED_USER_FIELDS = ["exec", "auth-provider", "as", "as-uid", "as-groups"];

/**
 * Reads the text of a kubeconfig. `path` is its absolute path, `master` replaces its server.
 *
 * @throws {ConfigError} naming the file and the field.
 */
export function parseKubeconfig(
  text: string,
  { path, master = "" }: { path: string; master?: string },
): ConnectionSource {
  const file = new KubeconfigFile(path, parseYaml(text, path));
  const context = file.context();
  const cluster = file.entry({ list: "clusters", member: "cluster", name: context.cluster });
  const user = context.user === ""
    ? { json: {}, at: "users" }
    : file.entry({ list: "users", member: "user", name: context.user });
  file.refuse(cluster, REFUSED_CLUSTER_FIELDS);
  file.refuse(user, REFUSED_USER_FIELDS);
  const source = {
    origin: path,
    ...file.cluster(cluster),
    ...file.user(user),
  };
  const server = normalizeServer(master || textAt(cluster.json, "server"), source);
  if (server === undefined) {
    const value = master || cluster.json["server"];
    throw file.error(`${cluster.at}.server`, { reason: "no URL of an API server", value });
  }
  return { ...source, server };
}

/** `host:port` as a URL, as client-go completes it; undefined when it is none. */
export function normalizeServer(
  text: string,
  tls: { readonly ca: unknown; readonly clientCertificate: unknown },
): string | undefined {
  const isTls = tls.ca !== undefined || tls.clientCertificate !== undefined;
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http${isTls ? "s" : ""}://${text}`;
  if (!URL.canParse(url)) return undefined;
  const { protocol, host, pathname } = new URL(url);
  if (!["http:", "https:"].includes(protocol) || host === "") return undefined;
  return `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
}

/** An entry of a list of the file, and what to call it in messages. */
interface Entry {
  readonly json: JsonObject;
  readonly at: string;
}

type ClusterPart = Pick<ConnectionSource, "ca" | "tlsServerName" | "insecureSkipTlsVerify">;
type UserPart = Omit<ConnectionSource, "origin" | "server" | keyof ClusterPart>;

class KubeconfigFile {
  readonly #path: string;
  readonly #json: JsonObject;

  constructor(path: string, json: JsonObject) {
    this.#path = path;
    this.#json = json;
  }

  error(at: string, detail: { reason: string; value?: unknown }): ConfigError {
    return new ConfigError([{ path: `${this.#path}: ${at}`, ...detail }]);
  }

  context(): { cluster: string; user: string } {
    const name = textAt(this.#json, "current-context");
    if (name === "") throw this.error("current-context", { reason: "is not set" });
    const { json, at } = this.entry({ list: "contexts", member: "context", name });
    const cluster = textAt(json, "cluster");
    if (cluster === "") throw this.error(`${at}.cluster`, { reason: "is not set" });
    return { cluster, user: textAt(json, "user") };
  }

  entry({ list, member, name }: { list: string; member: string; name: string }): Entry {
    const entries = listAt(this.#json, list).map(parseObject);
    const index = entries.findIndex((each) => each["name"] === name);
    const found = entries[index];
    if (found === undefined) {
      throw this.error(list, { reason: "has no entry of this name", value: name });
    }
    return { json: objectAt(found, member), at: `${list}[${index}].${member}` };
  }

  refuse({ json, at }: Entry, fields: readonly string[]): void {
    const field = fields.find((each) => isGiven(json, each));
    if (field !== undefined) {
      throw this.error(`${at}.${field}`, { reason: "is not supported by vipd" });
    }
  }

  cluster(cluster: Entry): ClusterPart {
    const ca = this.#pem(cluster, "certificate-authority");
    const insecureSkipTlsVerify = cluster.json["insecure-skip-tls-verify"] === true;
    if (insecureSkipTlsVerify && ca !== undefined) {
      const reason = "must not be set together with certificate-authority";
      throw this.error(`${cluster.at}.insecure-skip-tls-verify`, { reason });
    }
    return { ca, tlsServerName: textAt(cluster.json, "tls-server-name"), insecureSkipTlsVerify };
  }

  user(user: Entry): UserPart {
    const clientCertificate = this.#pem(user, "client-certificate");
    const clientKey = this.#pem(user, "client-key");
    if ((clientCertificate === undefined) !== (clientKey === undefined)) {
      const missing = clientKey === undefined ? "client-key" : "client-certificate";
      throw this.error(`${user.at}.${missing}`, {
        reason: "is missing: certificate and key go together",
      });
    }
    const tokenFile = textAt(user.json, "tokenFile");
    return {
      clientCertificate,
      clientKey,
      token: textAt(user.json, "token"),
      tokenFile: tokenFile && this.#resolve(tokenFile),
      username: textAt(user.json, "username"),
      password: textAt(user.json, "password"),
    };
  }

  /** `NAME-data` holds base64 of PEM and wins over the file called `NAME`. */
  #pem({ json, at }: Entry, name: string): PemSource | undefined {
    const data = textAt(json, `${name}-data`);
    if (data !== "") {
      const pem = decodeBase64(data);
      if (pem === undefined) throw this.error(`${at}.${name}-data`, { reason: "is not base64" });
      return { kind: "text", pem };
    }
    const path = textAt(json, name);
    return path === "" ? undefined : { kind: "file", path: this.#resolve(path) };
  }

  /** Relative paths start at the directory of the kubeconfig. */
  #resolve(path: string): string {
    return resolve(dirname(this.#path), path);
  }
}

function parseYaml(text: string, path: string): JsonObject {
  // Pretty errors would quote the line, and with it maybe a secret.
  const lineCounter = new LineCounter();
  const options = { stringKeys: true, prettyErrors: false, lineCounter };
  const document = parseDocument(text, { ...options, logLevel: "silent" });
  const [first] = document.errors;
  if (first !== undefined) {
    const { line } = lineCounter.linePos(first.pos[0]);
    const problem = { path: `${path}:${line}`, reason: `is not YAML: ${first.message}` };
    throw new ConfigError([problem], { cause: first });
  }
  try {
    return parseObject(document.toJS());
  } catch (cause) {
    // Aliases of aliases of aliases: a document that would fill the memory.
    throw new ConfigError([{ path, reason: `is not YAML: ${String(cause)}` }], { cause });
  }
}

function decodeBase64(text: string): string | undefined {
  const compact = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 !== 0) return undefined;
  return atob(compact);
}
