/**
 * A cluster for the image: the node that the container programs, a client that is a pod on it, and
 * another node with pods that answer and the API server.
 *
 *     client 10.244.1.10 ---- node 192.168.77.2 ---- far 192.168.77.1: API server :6443
 *            fd00:244:1::10        fd00:77::2            fd00:77::1
 *                                                        pods 10.244.2.21, 10.244.2.22
 *                                                             fd00:244:2::21, fd00:244:2::22
 *
 * @module
 */

import { type Agent, startAgent } from "../e2e/agent.ts";
import { type Network, openNetwork } from "../support/netns.ts";
import { eventually } from "../support/vipd.ts";

/** Name of the Node that the container serves. */
export const NODE = "node-a";
/** Where the API server is. */
export const API = "https://192.168.77.1:6443";

/** Pods of the Service, by name, one address of each family. */
const PODS = {
  one: { IPv4: "10.244.2.21", IPv6: "fd00:244:2::21" },
  two: { IPv4: "10.244.2.22", IPv6: "fd00:244:2::22" },
} as const;

type PodName = keyof typeof PODS;

/** The Service `default/web`, port 80. */
export const CLUSTER_IPS = { IPv4: "10.96.0.10", IPv6: "fd00:10:96::10" } as const;

type Family = keyof typeof CLUSTER_IPS;

const FORWARDING = { "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1" };
const FAR_PODS = Object.values(PODS).flatMap(({ IPv4, IPv6 }) => [`${IPv4}/32`, `${IPv6}/128`]);

const TOPOLOGY = {
  tag: "vimg",
  namespaces: ["node", "client", "far"],
  links: [
    [
      { in: "node", device: "n0", addresses: ["192.168.77.2/24", "fd00:77::2/64", "fe80::2/64"] },
      {
        in: "far",
        device: "f0",
        addresses: ["192.168.77.1/24", "fd00:77::1/64", "fe80::1/64", ...FAR_PODS],
      },
    ],
    [
      { in: "node", device: "p0", addresses: ["10.244.1.1/24", "fd00:244:1::1/64", "fe80::1/64"] },
      {
        in: "client",
        device: "eth0",
        addresses: ["10.244.1.10/24", "fd00:244:1::10/64", "fe80::2/64"],
      },
    ],
  ],
  routes: {
    client: ["default via 10.244.1.1", "default via fd00:244:1::1"],
    node: ["10.244.2.0/24 via 192.168.77.1", "fd00:244:2::/64 via fd00:77::1"],
    far: ["10.244.1.0/24 via 192.168.77.2", "fd00:244:1::/64 via fd00:77::2"],
  },
  sysctls: { node: FORWARDING },
} as const;

/** The node, the Service, and the slices of both families with pod `one`. */
function objects(): readonly object[] {
  return [
    {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: NODE },
      status: { addresses: [{ type: "InternalIP", address: "192.168.77.2" }] },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "default", name: "web" },
      spec: {
        clusterIP: CLUSTER_IPS.IPv4,
        clusterIPs: Object.values(CLUSTER_IPS),
        ipFamilyPolicy: "RequireDualStack",
        ipFamilies: ["IPv4", "IPv6"],
        ports: [{ port: 80, targetPort: 8080, protocol: "TCP" }],
      },
    },
    ...(["IPv4", "IPv6"] as const).map((family) => ({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        namespace: "default",
        name: sliceName(family),
        labels: { "kubernetes.io/service-name": "web" },
      },
      addressType: family,
      ports: [{ port: 8080, protocol: "TCP" }],
      endpoints: endpoints(family, "one"),
    })),
  ];
}

function sliceName(family: Family): string {
  return `web-${family.toLowerCase()}`;
}

function endpoints(family: Family, pod: PodName): readonly object[] {
  return [{ addresses: [PODS[pod][family]], conditions: { ready: true }, nodeName: "node-b" }];
}

/** A cluster without a proxy. */
export interface ImageCluster {
  readonly network: Network;
  /** `ca.crt` and `token` of the proxy's service account. */
  readonly serviceAccount: string;
  /** Who answers the client, `refused` or `silence`. */
  ask(family: Family): Promise<string>;
  /** Writes by the API which pod stands behind the Service. */
  direct(family: Family, pod: PodName): Promise<void>;
}

/** Starts it; it goes with the stack. Files are below the directory. */
export async function openImageCluster(
  directory: string,
  stack: AsyncDisposableStack,
): Promise<ImageCluster> {
  const network = stack.use(await openNetwork(TOPOLOGY));
  const [client, far] = ["client", "far"].map((name) => stack.use(startAgent(network, name)));
  if (client === undefined || far === undefined) throw new Error("no agents");
  const listeners = Object.entries(PODS).flatMap(([name, hosts]) =>
    Object.values(hosts).map((host) => ({ protocol: "tcp", host, port: 8080, name } as const))
  );
  await Promise.all(listeners.map((listener) => far.serve(listener)));
  const files = `${directory}/credentials`;
  await startApi(network, { directory, files, stack });
  return {
    network,
    serviceAccount: await serviceAccountOf(files, directory),
    ask: (family) => ask(client, family),
    direct: (family, pod) => direct(network, { files, family, pod }),
  };
}

async function ask(client: Agent, family: Family): Promise<string> {
  const answer = await client.probe({ protocol: "tcp", host: CLUSTER_IPS[family], port: 80 });
  return answer.kind === "answer" ? answer.by : answer.kind;
}

async function startApi(
  network: Network,
  { directory, files, stack }: { directory: string; files: string; stack: AsyncDisposableStack },
): Promise<void> {
  const manifest = `${directory}/objects.yaml`; // JSON is YAML
  const documents = objects().map((object) => `--- ${JSON.stringify(object)}\n`);
  await Deno.writeTextFile(manifest, documents.join(""));
  const log = `${directory}/apiserver.log`;
  await Deno.writeTextFile(log, "");
  const child = network.spawn("far", [
    ...["sh", "-c", 'exec "$@" >"$0" 2>&1', log, Deno.execPath()],
    ...["run", "--no-check", "--cached-only", "-A"],
    new URL("../support/apiserver/main.ts", import.meta.url).pathname,
    ...["--listen", new URL(API).host, "--dir", files, "--manifests", manifest],
  ], { stdin: "null" });
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.status;
  });
  await eventually("the API server is ready", async () => {
    const text = await Deno.readTextFile(log);
    if (text.startsWith("apiserver:")) throw new Error(text);
    return text.includes("ready ") ? true : undefined;
  });
}

/** The files as every pod has them. */
async function serviceAccountOf(files: string, directory: string): Promise<string> {
  const serviceAccount = `${directory}/serviceaccount`;
  await Deno.mkdir(serviceAccount);
  await Deno.copyFile(`${files}/ca.crt`, `${serviceAccount}/ca.crt`);
  await Deno.copyFile(`${files}/proxy.token`, `${serviceAccount}/token`);
  return serviceAccount;
}

async function direct(
  network: Network,
  { files, family, pod }: { files: string; family: Family; pod: PodName },
): Promise<void> {
  const path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  await network.run("far", [
    ...["curl", "-sSf", "--cacert", `${files}/ca.crt`, "-X", "PATCH", "-o", "/dev/null"],
    ...["-H", `Authorization: Bearer ${await Deno.readTextFile(`${files}/admin.token`)}`],
    ...["-H", "Content-Type: application/merge-patch+json"],
    ...["--data", JSON.stringify({ endpoints: endpoints(family, pod) })],
    `${API}${path}/${sliceName(family)}`,
  ]);
}
