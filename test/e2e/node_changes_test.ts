/**
 * A node whose addresses change, in its Node object and on its devices: node ports follow without
 * a restart.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { type Cluster, openCluster, testEachFamily } from "./cluster.ts";
import { nodes } from "./objects.ts";
import { ADDRESSES, FAMILIES, type Family } from "./topology.ts";
import { WEB, Workload } from "./workload.ts";

let cluster: Cluster;
let web: Workload;

Deno.test.beforeAll(async () => {
  cluster = await openCluster({ config: { nodePortAddresses: ["primary"] } });
  web = new Workload(cluster, { name: "web", n: 90 });
  web.place(["pod-b"]);
  web.write({ type: "NodePort", ports: [{ ...WEB, nodePort: 30_090 }] });
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

async function answersAt(family: Family, at: { host: string; by: string }): Promise<void> {
  const target = web.target(family, { host: at.host, port: 30_090, timeoutMs: 2_500 });
  await web.answers("outside", { target, by: [at.by] });
}

function writeNode(name: "node" | "nodeOutside"): void {
  const [here] = nodes();
  const addresses = FAMILIES.map((family) => ({
    type: "InternalIP",
    address: ADDRESSES[family][name],
  }));
  cluster.server.apply({ ...here, status: { addresses } });
}

testEachFamily(
  "node ports answer at the primary address, also when that changes",
  async (family) => {
    const { node, nodeOutside } = ADDRESSES[family];
    await answersAt(family, { host: node, by: "pod-b" });
    await answersAt(family, { host: nodeOutside, by: "refused" });
    writeNode("nodeOutside");
    await answersAt(family, { host: nodeOutside, by: "pod-b" });
    await answersAt(family, { host: node, by: "refused" });
    writeNode("node");
    await answersAt(family, { host: node, by: "pod-b" });
  },
);

const RANGES = { IPv4: "192.168.0.0/24", IPv6: "fd00:192::/64" } as const;
const NEW = { IPv4: "192.168.0.77", IPv6: "fd00:192::77" } as const;

testEachFamily(
  "node ports answer at an address of their range that comes later",
  async (family) => {
    await cluster.restart("SIGTERM", { config: { nodePortAddresses: Object.values(RANGES) } });
    await answersAt(family, { host: ADDRESSES[family].node, by: "pod-b" });
    await cluster.network.sh("node", `ip address add ${NEW[family]} dev n0`);
    await answersAt(family, { host: NEW[family], by: "pod-b" });
  },
);
