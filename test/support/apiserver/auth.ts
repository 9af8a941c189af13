/**
 * Who asks, and may they? Client certificates and bearer tokens say who; what they may is the
 * ClusterRole system:node-proxier (FACTS API-11) for kube-proxy and everything for system:masters.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { forbidden, unauthorized } from "./status.ts";
import type { Resource } from "./resources.ts";

/** Somebody who makes requests. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** May do everything. */
export const ADMIN: User = { name: "kubernetes-admin", groups: ["system:masters"] };
/** What vipd runs as. */
export const PROXY: User = { name: "system:kube-proxy", groups: ["system:node-proxier"] };
/** Known, but nobody gave them a role. */
export const STRANGER: User = { name: "stranger", groups: ["system:authenticated"] };

const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** What a request wants to do. */
export type Verb =
  | "get"
  | "list"
  | "watch"
  | "create"
  | "update"
  | "patch"
  | "delete"
  | "deletecollection";

/** The user of a request. Throws a 401 StatusError for credentials that are wrong. */
export function authenticate(request: IncomingMessage, tokens: ReadonlyMap<string, User>): User {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const user = tokens.get(/^Bearer\s+(\S+)$/i.exec(authorization)?.[1] ?? "");
    if (!user) throw unauthorized();
    return user;
  }
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return ANONYMOUS;
  const { subject } = socket.getPeerCertificate() ?? {};
  if (!subject) return ANONYMOUS;
  if (!socket.authorized) throw unauthorized();
  return { name: first(subject.CN), groups: all(subject.O) };
}

function first(name: string | string[] | undefined): string {
  return all(name)[0] ?? "";
}

function all(names: string | string[] | undefined): string[] {
  return names === undefined ? [] : [names].flat();
}

const READ: readonly Verb[] = ["get", "list", "watch"];
const PROXY_RULES: Readonly<Record<string, readonly Verb[]>> = {
  nodes: READ,
  services: READ,
  endpointslices: READ,
  servicecidrs: READ,
  events: ["create", "patch", "update"],
};

/** Throws a 403 StatusError unless the user may do it. */
export function authorize(
  user: User,
  action: { verb: Verb; resource: Resource; subresource: string; namespace: string },
): void {
  const { verb, resource, subresource, namespace } = action;
  if (isAdmin(user)) return;
  const isProxy = user.name === PROXY.name || user.groups.includes("system:node-proxier");
  if (isProxy && subresource === "" && PROXY_RULES[resource.plural]?.includes(verb)) return;
  const what = subresource === "" ? resource.plural : `${resource.plural}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  throw forbidden(
    `${resource.plural} is forbidden: User "${user.name}" cannot ${verb} resource "${what}" ` +
      `in API group "${resource.group}" ${where}`,
  );
}

/** Throws a 403 StatusError unless the user may use control and discovery paths like this one. */
export function authorizePath(user: User, path: string): void {
  const isPublic = ["/healthz", "/livez", "/readyz", "/version"].includes(path);
  const isDiscovery = path.startsWith("/api") && user !== ANONYMOUS;
  if (isPublic || isDiscovery || isAdmin(user)) return;
  throw forbidden(`forbidden: User "${user.name}" cannot get path "${path}"`);
}

function isAdmin(user: User): boolean {
  return user.groups.includes("system:masters");
}
