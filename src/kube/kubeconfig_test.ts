import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { stringify } from "yaml";
import { ConfigError } from "../config/problem.ts";
import { type ConnectionSource, parseKubeconfig } from "./kubeconfig.ts";

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly top?: object;
}

function kubeconfig({ cluster = {}, user = {}, top = {} }: Parts): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "b" }, { name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster: { server: "https://10.0.0.1:6443", ...cluster } }],
    users: [{ name: "u", user }],
    ...top,
  });
}

function parse(parts: Parts, master = ""): ConnectionSource {
  return parseKubeconfig(kubeconfig(parts), { path: "/etc/k/config", master });
}

function problem(action: () => unknown): string {
  let text = "";
  throws(action, (error) => {
    text = error instanceof ConfigError ? error.message : `wrong class: ${error}`;
    return true;
  });
  return text;
}

Deno.test("parseKubeconfig() reads the current context, files beside the kubeconfig", () => {
  const source = parse({
    cluster: { "certificate-authority": "ca.crt", "tls-server-name": "kubernetes" },
    user: {
      "client-certificate": "../c.crt",
      "client-key": "/abs/c.key",
      tokenFile: "token",
      token: "t",
      username: "joe",
      password: "x",
    },
  });
  deepStrictEqual(source, {
    origin: "/etc/k/config",
    server: "https://10.0.0.1:6443",
    ca: { kind: "file", path: "/etc/k/ca.crt" },
    clientCertificate: { kind: "file", path: "/etc/c.crt" },
    clientKey: { kind: "file", path: "/abs/c.key" },
    token: "t",
    tokenFile: "/etc/k/token",
    username: "joe",
    password: "x",
    tlsServerName: "kubernetes",
    insecureSkipTlsVerify: false,
  });
});

Deno.test("parseKubeconfig() prefers base64 data to a file", () => {
  const source = parse({
    cluster: { "certificate-authority": "ca.crt", "certificate-authority-data": btoa("PEM") },
  });
  deepStrictEqual(source.ca, { kind: "text", pem: "PEM" });
});

Deno.test("parseKubeconfig() reads JSON, which is YAML", () => {
  const text = JSON.stringify({
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k" } }],
    clusters: [{
      name: "k",
      cluster: { server: "http://10.0.0.1:8080/", "insecure-skip-tls-verify": true },
    }],
  });
  const source = parseKubeconfig(text, { path: "/k" });
  strictEqual(source.server, "http://10.0.0.1:8080");
  ok(source.insecureSkipTlsVerify);
});

const SERVERS: readonly (readonly [string, object, string])[] = [
  ["https://other:1/prefix/", {}, "https://other:1/prefix"],
  ["other:8080", {}, "http://other:8080"],
  ["other:6443", { "certificate-authority": "ca.crt" }, "https://other:6443"],
  ["https://[fd00::1]:6443", {}, "https://[fd00::1]:6443"],
];
for (const [master, cluster, want] of SERVERS) {
  Deno.test(`parseKubeconfig() replaces the server by --master ${master}`, () => {
    strictEqual(parse({ cluster }, master).server, want);
  });
}

const PROBLEMS: readonly (readonly [Parts, string])[] = [
  [{ top: { "current-context": "" } }, "/etc/k/config: current-context: is not set"],
  [
    { top: { "current-context": "d" } },
    '/etc/k/config: contexts: Invalid value: "d": has no entry of this name',
  ],
  [{ top: { "current-context": "b" } }, "/etc/k/config: contexts[0].context.cluster: is not set"],
  [
    { top: { clusters: [] } },
    '/etc/k/config: clusters: Invalid value: "k": has no entry of this name',
  ],
  [{ top: { users: "?" } }, '/etc/k/config: users: Invalid value: "u": has no entry of this name'],
  [
    { cluster: { server: "ftp://a" } },
    '/etc/k/config: clusters[0].cluster.server: Invalid value: "ftp://a": no URL of an API server',
  ],
  [
    { cluster: { server: 7 } },
    "/etc/k/config: clusters[0].cluster.server: Invalid value: 7: no URL of an API server",
  ],
  [
    { cluster: { "proxy-url": "http://p" } },
    "/etc/k/config: clusters[0].cluster.proxy-url: is not supported by vipd",
  ],
  [
    { user: { exec: { command: "aws" } } },
    "/etc/k/config: users[0].user.exec: is not supported by vipd",
  ],
  [
    { user: { "auth-provider": { name: "gcp" } } },
    "/etc/k/config: users[0].user.auth-provider: is not supported by vipd",
  ],
  [{ user: { as: "root" } }, "/etc/k/config: users[0].user.as: is not supported by vipd"],
  [
    { user: { "client-key": "a" } },
    "/etc/k/config: users[0].user.client-certificate: is missing: certificate and key go together",
  ],
  [
    { cluster: { "certificate-authority-data": "%" } },
    "/etc/k/config: clusters[0].cluster.certificate-authority-data: is not base64",
  ],
  [
    { cluster: { "certificate-authority": "a", "insecure-skip-tls-verify": true } },
    "/etc/k/config: clusters[0].cluster.insecure-skip-tls-verify: " +
    "must not be set together with certificate-authority",
  ],
];
for (const [parts, want] of PROBLEMS) {
  Deno.test(`parseKubeconfig() says "${want.slice(15)}"`, () => {
    strictEqual(problem(() => parse(parts)), want);
  });
}

Deno.test("parseKubeconfig() names the line of bad YAML and does not quote it", () => {
  const text = 'users:\n- user: {token: "secret}\n';
  const message = problem(() => parseKubeconfig(text, { path: "/k" }));
  ok(!message.includes("secret"), message);
  ok(message.startsWith("/k:3: is not YAML: "), message);
});

Deno.test("parseKubeconfig() refuses aliases that multiply", () => {
  const lists = Array.from({ length: 12 }, (_, i) => `- &a${i + 1} [${`*a${i},`.repeat(9)}]`);
  const text = `x:\n- &a0 [1]\n${lists.join("\n")}\n`;
  const message = problem(() => parseKubeconfig(text, { path: "/k" }));
  ok(message.startsWith("/k: is not YAML: "), message);
});
