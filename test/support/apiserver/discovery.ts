/**
 * The paths by which clients find out what is served: /version, /api, /apis, health.
 *
 * @module
 */

import { type Resource, RESOURCES } from "./resources.ts";

/** Text of the answer; undefined when there is no such path. */
export function discover(path: string): string | undefined {
  if (["/healthz", "/livez", "/readyz"].includes(path)) return "ok";
  const groups = [...new Set(RESOURCES.map(({ group }) => group))].filter((group) => group !== "");
  if (path === "/version") {
    const gitVersion = "v1.36.2";
    return JSON.stringify({ major: "1", minor: "36", gitVersion, platform: "linux/amd64" });
  }
  if (path === "/api") return JSON.stringify({ kind: "APIVersions", versions: ["v1"] });
  if (path === "/apis") {
    return JSON.stringify({ kind: "APIGroupList", apiVersion: "v1", groups: groups.map(groupOf) });
  }
  if (path === "/api/v1") return resourceList("");
  const [, apis, group = "", version, more] = path.split("/");
  if (apis !== "apis" || !groups.includes(group) || more !== undefined) return undefined;
  if (version === undefined) {
    return JSON.stringify({ kind: "APIGroup", apiVersion: "v1", ...groupOf(group) });
  }
  return version === "v1" ? resourceList(group) : undefined;
}

function groupOf(name: string) {
  const version = { groupVersion: `${name}/v1`, version: "v1" };
  return { name, versions: [version], preferredVersion: version };
}

function resourceList(group: string): string {
  const resources = RESOURCES.filter((resource) => resource.group === group);
  return JSON.stringify({
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? "v1" : `${group}/v1`,
    resources: resources.flatMap(describe),
  });
}

function describe(resource: Resource) {
  const { plural, singular, kind, shortNames, isNamespaced, hasStatus } = resource;
  const base = { singularName: singular, namespaced: isNamespaced, kind };
  const main = {
    ...base,
    name: plural,
    shortNames,
    verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
  };
  const status = { ...base, name: `${plural}/status`, verbs: ["get", "patch", "update"] };
  return hasStatus ? [main, status] : [main];
}
