/**
 * The connection tracking table of the real kernel, beside conntrack(8). Needs root, conntrack.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { openConntrack } from "../../src/kernel/conntrack/conntrack.ts";
import type { Flow } from "../../src/model/conntrack.ts";
import { ended } from "../support/process.ts";
import { inNamespace } from "./inside.ts";

/** A flow that was redirected from `to` to `pod`, as options of `conntrack -I`. */
function insert(protocol: string, { client, to, pod, port }: Record<string, string>): string {
  const state = protocol === "tcp" ? "--state ESTABLISHED" : "";
  return `conntrack -I -p ${protocol} -s ${client} -d ${to} --sport ${port} --dport 53 ` +
    `-r ${pod} -q ${client} --reply-port-src 5353 --reply-port-dst ${port} -t 100 ${state}`;
}

const V4 = { client: "10.0.0.1", to: "10.96.0.10", pod: "10.0.0.5", port: "40000" };
const V6 = { client: "fd00::1", to: "fd00:96::10", pod: "fd00::5", port: "40000" };

async function shell(script: string): Promise<string> {
  const { code, stdout, stderr } = await ended(["sh", "-e"], { stdin: script });
  strictEqual(code, 0, stderr);
  return stdout;
}

/** conntrack -L as `proto source destination port`. */
async function listed(family: "ipv4" | "ipv6"): Promise<string[]> {
  const lines = (await shell(`conntrack -L -f ${family}`)).split("\n").filter((line) => line);
  return lines.map((line) => /^(\w+) .*?src=(\S+) dst=(\S+) sport=(\d+)/.exec(line)?.slice(1) ?? [])
    .map((fields) => fields.join(" ")).sort();
}

inNamespace(import.meta.url, () => {
  Deno.test("list() and delete() mean the flows conntrack(8) shows", async () => {
    await shell([
      insert("udp", V4),
      insert("udp", { ...V4, port: "40001" }),
      insert("tcp", V4),
      insert("udp", V6),
      insert("sctp", V4).replace(
        "-t 100",
        "-t 100 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
      ),
    ].join("\n"));
    using conntrack = openConntrack();
    const udp: Flow[] = conntrack.list({ family: "IPv4", protocol: "UDP" });
    const ports = udp.map((flow) => flow.original.sourcePort).sort();
    deepStrictEqual(ports, [40000, 40001]);
    const [flow] = conntrack.list({ family: "IPv6", protocol: "UDP" });
    deepStrictEqual(JSON.parse(JSON.stringify(flow)), {
      family: "IPv6",
      protocol: "UDP",
      original: {
        source: "fd00::1",
        destination: "fd00:96::10",
        sourcePort: 40000,
        destinationPort: 53,
      },
      reply: {
        source: "fd00::5",
        destination: "fd00::1",
        sourcePort: 5353,
        destinationPort: 40000,
      },
    });
    strictEqual(conntrack.list({ family: "IPv4", protocol: "TCP" }).length, 1);
    strictEqual(conntrack.list({ family: "IPv4", protocol: "SCTP" }).length, 1);

    conntrack.delete(udp.filter(({ original }) => original.sourcePort === 40000));
    deepStrictEqual(await listed("ipv4"), [
      "sctp 10.0.0.1 10.96.0.10 40000",
      "tcp 10.0.0.1 10.96.0.10 40000",
      "udp 10.0.0.1 10.96.0.10 40001",
    ]);
    if (flow !== undefined) conntrack.delete([flow, flow]);
    deepStrictEqual(await listed("ipv6"), []);
  });

  Deno.test("list() and delete() of 3,000 flows", async () => {
    using conntrack = openConntrack();
    conntrack.delete(conntrack.list({ family: "IPv4", protocol: "UDP" }));
    const lines = Array.from({ length: 3000 }, (_, i) => {
      return insert("udp", { ...V4, port: String(20000 + i) }).replace("conntrack ", "");
    });
    const { code, stderr } = await ended(["conntrack", "-R", "-"], { stdin: lines.join("\n") });
    strictEqual(code, 0, stderr);
    const flows = conntrack.list({ family: "IPv4", protocol: "UDP" });
    strictEqual(new Set(flows.map((flow) => flow.original.sourcePort)).size, 3000);
    conntrack.delete(flows);
    deepStrictEqual(conntrack.list({ family: "IPv4", protocol: "UDP" }), []);
  });
});
