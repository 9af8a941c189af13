/**
 * Credentials as files, the way a node has them:
 *
 *     ca.crt                              authority of server and clients
 *     admin.crt admin.key admin.token     system:masters
 *     proxy.crt proxy.key proxy.token     system:kube-proxy
 *     admin.kubeconfig proxy.kubeconfig   client certificate, files by name
 *     proxy-token.kubeconfig              tokenFile, as kubeadm's kube-proxy has it
 *     proxy-inline.kubeconfig             everything inside as base64
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import type { Credentials } from "./server.ts";

/** Writes them. Returns the absolute path by file name. */
export async function writeCredentialFiles(
  directory: string,
  { url, credentials }: { url: string; credentials: Credentials },
): Promise<Readonly<Record<string, string>>> {
  const root = resolve(directory);
  await mkdir(root, { recursive: true });
  const path = (name: string) => join(root, name);
  const { ca, admin, proxy } = credentials;
  const authority = { "certificate-authority": path("ca.crt") };
  const keyFiles = (name: string) => ({
    "client-certificate": path(`${name}.crt`),
    "client-key": path(`${name}.key`),
  });
  const contents: Record<string, string> = {
    "ca.crt": ca,
    "admin.crt": admin.cert,
    "admin.key": admin.key,
    "admin.token": admin.token,
    "proxy.crt": proxy.cert,
    "proxy.key": proxy.key,
    "proxy.token": proxy.token,
    "admin.kubeconfig": kubeconfig(url, { cluster: authority, user: keyFiles("admin") }),
    "proxy.kubeconfig": kubeconfig(url, { cluster: authority, user: keyFiles("proxy") }),
    "proxy-token.kubeconfig": kubeconfig(url, {
      cluster: authority,
      user: { tokenFile: path("proxy.token") },
    }),
    "proxy-inline.kubeconfig": kubeconfig(url, {
      cluster: { "certificate-authority-data": base64(ca) },
      user: {
        "client-certificate-data": base64(proxy.cert),
        "client-key-data": base64(proxy.key),
      },
    }),
  };
  for (const [name, content] of Object.entries(contents)) {
    await writeFile(path(name), content, { mode: 0o600 });
    await chmod(path(name), 0o600);
  }
  return Object.fromEntries(Object.keys(contents).map((name) => [name, path(name)]));
}

/** A kubeconfig with one cluster, user and context. */
export function kubeconfig(
  server: string,
  { cluster, user }: { cluster: object; user: object },
): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "vipd", cluster: { server, ...cluster } }],
    users: [{ name: "vipd", user }],
    contexts: [{ name: "vipd", context: { cluster: "vipd", user: "vipd" } }],
    "current-context": "vipd",
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
