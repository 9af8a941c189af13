import { strictEqual } from "node:assert/strict";
import { parseIp } from "../../model/ip.ts";
import type { ServicePortName } from "../../model/plan.ts";
import { endpointBase, serviceBase } from "./names.ts";

function nameOf(
  namespace: string,
  ...[service = "", port = ""]: readonly string[]
): ServicePortName {
  return {
    namespace,
    name: service,
    port,
    protocol: "TCP",
    service: `${namespace}/${service}`,
    text: `${namespace}/${service}:${port}`,
    key: `${namespace}/${service}:${port}/TCP`,
  };
}

const ENDPOINT = {
  ip: parseIp("192.168.77.1"),
  port: 6443,
  text: "192.168.77.1:6443",
  isLocal: false,
  ready: true,
  serving: true,
  terminating: false,
};

Deno.test("serviceBase() hashes what stands behind the hash", () => {
  strictEqual(
    serviceBase(nameOf("default", "kubernetes", "https")),
    "2QRHZV4L-default/kubernetes/tcp/https",
  );
});

Deno.test("endpointBase() writes an IPv6 address without colons", () => {
  const endpoint = { ...ENDPOINT, ip: parseIp("fd00::1") };
  const base = endpointBase(nameOf("a", "b", ""), endpoint);
  strictEqual(base.slice(8), "-a/b/tcp/__fd00..1/6443");
});

Deno.test("endpointBase() of more than 240 characters ends in dots, hashed as a whole", () => {
  const name = nameOf("n".repeat(120), "s".repeat(120), "p");
  const base = endpointBase(name, ENDPOINT);
  strictEqual(base.length, 240);
  strictEqual(base.slice(237), "...");
  const other = endpointBase(name, { ...ENDPOINT, port: 1 });
  strictEqual(
    other.slice(8) === base.slice(8) && other !== base ? "differ by hash" : "",
    "differ by hash",
  );
});
