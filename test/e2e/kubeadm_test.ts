/**
 * vipd as kubeadm's DaemonSet starts kube-proxy: the ConfigMap with every field at its zero value,
 * a kubeconfig with a token file, mounts at the usual places; and what the tests of kube-proxy in
 * the Kubernetes project ask of it then.
 *
 * Run by `deno run -A test/e2e/run.ts --mode MODE`.
 */

import { equal, match, ok } from "node:assert/strict";
import { kubeadmConfig } from "../support/kubeadm_config.ts";
import { eventually, vipdCommand } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { nodes } from "./objects.ts";
import { ADDRESSES, FAMILIES } from "./topology.ts";
import { DNS, WEB, Workload } from "./workload.ts";

let cluster: Cluster;
let web: Workload;
let child: Deno.ChildProcess | undefined;

Deno.test.beforeAll(async () => {
  cluster = await openCluster({ start: false });
  web = new Workload(cluster, { name: "web", n: 70 });
  await writeMounts();
});

Deno.test.afterAll(async () => {
  await end();
  await cluster?.[Symbol.asyncDispose]();
});

const EVERY_MODE = ["iptables", "nftables", "ipvs"];

function step(title: string, fn: () => Promise<void>, { modes = EVERY_MODE } = {}): void {
  if (!modes.includes(MODE)) return;
  const name = `${MODE}: ${title}`;
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn });
}

function configMap(): string {
  return kubeadmConfig({
    clusterCidr: FAMILIES.map((family) => ADDRESSES[family].clusterCidr).join(),
    mode: MODE === "iptables" ? "" : MODE,
  });
}

const SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The content of the two volumes. */
async function writeMounts(): Promise<void> {
  const { directory, server } = cluster;
  for (const name of ["kube-proxy", "serviceaccount"]) await Deno.mkdir(`${directory}/${name}`);
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{
      cluster: { "certificate-authority": `${SECRETS}/ca.crt`, server: server.url },
      name: "default",
    }],
    contexts: [{
      context: { cluster: "default", namespace: "default", user: "default" },
      name: "default",
    }],
    "current-context": "default",
    users: [{ name: "default", user: { tokenFile: `${SECRETS}/token` } }],
  };
  await Promise.all(
    [
      ["kube-proxy/config.conf", configMap()],
      ["kube-proxy/kubeconfig.conf", JSON.stringify(kubeconfig)],
      ["serviceaccount/ca.crt", server.credentials.ca],
      ["serviceaccount/token", server.credentials.proxy.token],
    ].map(([path, text = ""]) => Deno.writeTextFile(`${directory}/${path}`, text)),
  );
}

/** Starts the container's command among its mounts. */
function start(further = ":"): void {
  const { directory, network } = cluster;
  const script = `set -e
    mount -t tmpfs none /var/lib && mkdir /var/lib/kube-proxy
    mount --bind ${directory}/kube-proxy /var/lib/kube-proxy
    mkdir -p /run/vipd-secrets && mount -t tmpfs none /run/vipd-secrets
    mkdir -p /run/secrets && mount -t tmpfs none /run/secrets && mkdir -p ${SECRETS}
    mount --bind ${directory}/serviceaccount ${SECRETS}
    ${further}
    exec "$@" >>${directory}/vipd.log 2>&1`;
  child = network.spawn("node", [
    ...["unshare", "--mount", "sh", "-c", script, "sh", ...vipdCommand()],
    ...["--config=/var/lib/kube-proxy/config.conf", "--hostname-override=here"],
  ], { stdin: "null", env: { NODE_NAME: "here" } });
}

async function end(): Promise<void> {
  child?.kill("SIGTERM");
  await child?.status;
  child = undefined;
}

async function log(): Promise<string> {
  return await Deno.readTextFile(`${cluster.directory}/vipd.log`).catch(() => "");
}

async function becomes(status: number, path: string): Promise<void> {
  await eventually(`${path} is ${status}`, async () => {
    return await cluster.health(path) === status ? true : undefined;
  }, { timeoutMs: 30_000 }).catch(async (error) => {
    throw new Error(`${error}\n${await log()}`);
  });
}

async function onNode(command: string): Promise<string> {
  return (await cluster.network.sh("node", command)).trim();
}

step("it waits for the API server, its role, and its Node, and then serves", async () => {
  const { server } = cluster;
  for (const name of ["here", "there"]) server.delete({ apiVersion: "v1", kind: "Node", name });
  web.place(["pod-b"]);
  web.write({ type: "NodePort", ports: [{ ...WEB, nodePort: 30_070 }, DNS] });
  await server.pause();
  start();
  await becomes(200, "/livez");
  equal(await cluster.health("/readyz"), 503);
  server.faults.add({ kind: "error", code: 403, count: 6 });
  await server.resume();
  await eventually("all is allowed", async () => {
    return await Promise.resolve(server.faults.list().length === 0 || undefined);
  }, { timeoutMs: 30_000 });
  server.apply(...nodes());
  await becomes(200, "/readyz");
  await becomes(200, "/healthz");
  for (const family of FAMILIES) {
    await web.answers("pod-a", { target: web.target(family), by: ["pod-b"] });
  }
});

step("it says what kube-proxy says at its addresses", async () => {
  const get = (port: number, path: string) => onNode(`curl -sSi http://localhost:${port}${path}`);
  match(await get(10256, "/healthz"), /^HTTP\/1.1 200 OK\r?\n/);
  match(await get(10256, "/healthz"), /"lastUpdated"/);
  match(await get(10249, "/proxyMode"), /^HTTP\/1.1 200 OK\r?\n/);
  equal(await onNode("curl -sS http://127.0.0.1:10249/proxyMode"), MODE);
  match(await get(10249, "/metrics"), /kubeproxy_sync_proxy_rules_duration_seconds_count/);
});

step("it sets the timeouts of connections to their defaults", async () => {
  const timeout = (state: string) =>
    onNode(`cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_${state}`);
  equal(await timeout("close_wait"), "3600");
  equal(await timeout("established"), "86400");
});

step("it counts connections to node ports on 127.0.0.1", async () => {
  const accepted = () =>
    cluster.metric("kubeproxy_iptables_localhost_nodeports_accepted_packets_total");
  const text = await onNode("curl -sS http://127.0.0.1:10249/metrics");
  match(text, /^kubeproxy_iptables_localhost_nodeports_accepted_packets_total \d/m);
  const before = await accepted();
  const target = web.target("IPv4", { host: "127.0.0.1", port: 30_070 });
  await web.answers("node", { target, by: ["pod-b"] });
  ok(await accepted() > before);
}, { modes: ["iptables"] });

step("its chains that somebody deletes one by one come back", async () => {
  const saved = await onNode("iptables-save");
  const [rules, chains]: [string[], string[]] = [[], []];
  let table = "";
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) table = line.slice(1);
    if (/^-A (?!KUBE-).*-j KUBE-/.test(line)) {
      rules.push(`iptables -t ${table} -D ${line.slice(3)}`);
    }
    const [, chain] = /^:(KUBE-\S+)/.exec(line) ?? [];
    if (chain === undefined) continue;
    rules.push(`iptables -t ${table} -F ${chain}`);
    chains.push(`iptables -t ${table} -X ${chain}`);
  }
  await onNode([...rules, ...chains].map((command) => `${command} || true`).join("\n"));
  // Looked after once in a syncPeriod, 30 s by default.
  await eventually("the chains", async () => {
    return (await onNode("iptables-save")).includes("KUBE-SERVICES") || undefined;
  }, { timeoutMs: 40_000 });
  await web.answers("pod-a", { target: web.target("IPv4"), by: ["pod-b"] });
  const target = web.target("IPv4", { host: ADDRESSES.IPv4.node, port: 30_070 });
  await web.answers("outside", { target, by: ["pod-b"] });
}, { modes: ["iptables", "ipvs"] });

step("it goes on where /proc/sys cannot be written", async () => {
  await end();
  start("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
  await becomes(200, "/readyz");
  web.place(["far-1"]);
  await web.answers("pod-a", { target: web.target("IPv4"), by: ["far-1"] });
});
