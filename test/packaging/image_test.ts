/**
 * The container image in the place of kube-proxy's, as deploy/ has it: run by crun in the network
 * namespace of a node, with a read-only root, the capabilities of deploy/unprivileged/ and no
 * more, the files of a service account, and the embedded API server over TLS. Once for each way
 * to find out which kind of iptables the node uses. Needs root, crun, curl, Debian's mirror, and
 * dist/vipd (`deno task build`), from which it makes the image.
 *
 *     deno test -A test/packaging/image_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { ended } from "../support/process.ts";
import { eventually } from "../support/vipd.ts";
import {
  Container,
  type ContainerOptions,
  passes,
  type Pod,
  readPod,
  unpackImage,
} from "./container.ts";
import { API, type ImageCluster, NODE, openImageCluster } from "./image_cluster.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const FAMILIES = ["IPv4", "IPv6"] as const;

/** A bundle with the image in it; the directory goes with the stack. */
async function openBundle(stack: AsyncDisposableStack): Promise<string> {
  const bundle = await Deno.makeTempDir({ prefix: "vipd-bundle-" });
  stack.defer(() => Deno.remove(bundle, { recursive: true }));
  await unpackImage(bundle);
  return bundle;
}

/** deploy/ with what its comments tell a user to fill in. */
async function configuredPod({ mode = "iptables" } = {}): Promise<Pod> {
  const { config, ...pod } = await readPod();
  const proxy = parse(config["config.conf"] ?? "");
  const kubeconfig = parse(config["kubeconfig.conf"] ?? "");
  assert.equal(kubeconfig.clusters.length, 1);
  kubeconfig.clusters[0].cluster.server = API;
  return {
    ...pod,
    config: {
      "config.conf": stringify({ ...proxy, mode, iptables: { localhostNodePorts: false } }),
      "kubeconfig.conf": stringify(kubeconfig),
    },
  };
}

/** An image and a node that the kubelet has touched. */
async function openNode(
  script: string,
  stack: AsyncDisposableStack,
): Promise<{ cluster: ImageCluster; options: ContainerOptions }> {
  const bundle = await openBundle(stack);
  const cluster = await openImageCluster(bundle, stack);
  const { network, serviceAccount } = cluster;
  await network.sh("node", script);
  const pod = await configuredPod();
  const namespace = network.name("node");
  return { cluster, options: { bundle, pod, namespace, nodeName: NODE, serviceAccount } };
}

/** Waits until the node is ready; what the container said is in the error. */
async function ready(container: Container, { network }: ImageCluster): Promise<void> {
  const url = "http://127.0.0.1:10256/readyz";
  const question = ["curl", "-so", "/dev/null", "-w", "%{http_code}", url];
  try {
    await eventually("/readyz is 200", async () => {
      const { stdout } = await network.exec("node", question);
      return stdout === "200" ? true : undefined;
    }, { timeoutMs: 20_000 });
  } catch (cause) {
    throw new Error(await container.log(), { cause });
  }
}

async function answers(cluster: ImageCluster, pod: string): Promise<void> {
  for (const family of FAMILIES) {
    await eventually(`${pod} answers by ${family}`, async () => {
      return await cluster.ask(family) === pod ? true : undefined;
    });
  }
}

/** Rules of one kind in both families, without counters and dates. */
async function rulesOf({ network }: ImageCluster, variant: string): Promise<string> {
  const script = `iptables-${variant}-save; ip6tables-${variant}-save`;
  const text = await network.sh("node", script);
  return text.replaceAll(/^#.*\n/gm, "").replaceAll(/\[\d+:\d+\]/g, "");
}

/** What the kubelet did to the node, what vipd then chooses, and after a restart. */
const ROWS = [
  ["the kubelet's hint in nft", "iptables-nft -t mangle -N KUBE-IPTABLES-HINT", "nft", "legacy"],
  [
    "the kubelet's hint in legacy",
    "iptables-legacy -t mangle -N KUBE-IPTABLES-HINT",
    "legacy",
    "nft",
  ],
  ["no hint", ":", "nft", "legacy"],
] as const;

Deno.test.beforeAll(async () => {
  const image = [Deno.execPath(), "run", "-A", "scripts/image.ts"];
  const { code, stderr } = await ended(image, { cwd: ROOT, timeoutMs: 180_000 });
  assert.equal(code, 0, stderr);
});

for (const [what, script, variant, other] of ROWS) {
  Deno.test(`the image takes the place of kube-proxy on a node with ${what}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const { cluster, options } = await openNode(script, stack);
    const chosen = new RegExp(`"Chose the variant of iptables" variant="${variant}"`);

    await t.step("it is ready, traffic flows, and follows the EndpointSlice", async () => {
      await using container = await Container.start(options);
      await ready(container, cluster);
      await answers(cluster, "one");
      for (const family of FAMILIES) await cluster.direct(family, "two");
      await answers(cluster, "two");
      const log = await container.stop();
      assert.match(log, chosen);
      assert.match(log, /Stopped, rules stay in place/);
    });
    await t.step("the rules are in one kind of iptables", async () => {
      assert.match(await rulesOf(cluster, variant), /-A KUBE-SVC-/);
      assert.doesNotMatch(await rulesOf(cluster, other), /:KUBE-S/);
      await answers(cluster, "two");
    });
    await t.step("it starts again, by kubeadm's command, and finds its rules", async () => {
      const before = await rulesOf(cluster, variant);
      const command = "/usr/local/bin/kube-proxy";
      await using container = await Container.start({ ...options, command, args: ["-v=2"] });
      await ready(container, cluster);
      assert.equal(await rulesOf(cluster, variant), before);
      for (const family of FAMILIES) await cluster.direct(family, "one");
      await answers(cluster, "one");
      assert.match(await container.stop(), chosen);
    });
    await t.step("--cleanup removes them", async () => {
      await using container = await Container.start({ ...options, args: ["--cleanup"] });
      const { code, log } = await container.ended();
      assert.equal(code, 0, log);
      assert.match(log, chosen);
      assert.doesNotMatch(await rulesOf(cluster, variant), /:KUBE-(?!IPTABLES-HINT|FIREWALL)/);
    });
  });
}

Deno.test("a change of mode removes the rules from the kind they are in", async () => {
  await using stack = new AsyncDisposableStack();
  const { cluster, options } = await openNode(
    "iptables-legacy -t mangle -N KUBE-KUBELET-CANARY",
    stack,
  );
  for (const mode of ["iptables", "nftables", "iptables"]) {
    await using container = await Container.start({
      ...options,
      pod: await configuredPod({ mode }),
    });
    await ready(container, cluster);
    await answers(cluster, "one");
    await eventually("rules are those of the mode", async () => {
      const chains = /:KUBE-SVC-/.test(await rulesOf(cluster, "legacy"));
      const table = (await cluster.network.run("node", ["nft", "list", "tables"])).trim();
      return chains === (mode === "iptables") && (table === "") === chains ? true : undefined;
    });
    await container.stop();
  }
});

Deno.test("the image has both kinds of iptables, no plain one and no shell", async () => {
  await using stack = new AsyncDisposableStack();
  const bundle = await openBundle(stack);
  const inBin = ["find", `${bundle}/rootfs`, "-path", "*bin/*", "-printf", "%f\\n"];
  const names = (await passes(inBin)).split("\n");
  assert.deepEqual(names.filter((name) => name.endsWith("sh")), []);
  assert.deepEqual(names.filter((name) => /^ip6?tables(-save|-restore)?$/.test(name)), []);
  for (const tool of ["iptables", "ip6tables"]) {
    for (const variant of ["nft", "legacy"]) {
      for (const end of ["", "-save", "-restore"]) {
        assert.ok(names.includes(`${tool}-${variant}${end}`), `${tool}-${variant}${end}`);
      }
    }
  }
});

Deno.test("the image has the licence of every package in it, and nothing else to read", async () => {
  await using stack = new AsyncDisposableStack();
  const share = `${await openBundle(stack)}/rootfs/usr/share`;
  const files = (await passes(["find", "-L", share, "-type", "f", "-printf", "%P\\n"])).trim()
    .split(
      "\n",
    );
  for (const name of ["vipd", "libc6", "iptables", "ipset", "nftables", "libnl-3-200", "kmod"]) {
    assert.ok(files.includes(`doc/${name}/copyright`), name);
  }
  assert.ok(files.includes("common-licenses/GPL-2"));
  assert.deepEqual(
    files.filter((file) => !/^(doc\/.*\/copyright|common-licenses\/.*)$/.test(file)),
    [],
  );
  const named = await passes(["cat", `${share}/doc/vipd/copyright`]);
  for (const part of ["the runtime: MIT", "undici", "yaml"]) assert.ok(named.includes(part), part);
});
