/**
 * Runs beside the systemd that systemd_boot.sh started, on a node with the rules of the real
 * kube-proxy, while clients in another namespace hold connections and open new ones: vipd takes over
 * from kube-proxy.service, gives back, and everything that may go wrong on the way does so. Prints
 * `ok NAME` for each step of {@linkcode takeOverSteps}, and what vipd said when one fails.
 *
 *     systemd_take_over.ts VIPD iptables|ipvs
 *
 * @module
 */

import assert from "node:assert/strict";
import { startAgent } from "../e2e/agent.ts";
import { type ApiServer, startApiServer } from "../support/apiserver/mod.ts";
import { openNetwork } from "../support/netns.ts";
import { ended } from "../support/process.ts";
import { eventually } from "../support/vipd.ts";
import {
  CASE,
  ETC,
  GOOD,
  healthy,
  isActive,
  LOG,
  LONG,
  MASK,
  type Mode,
  passes,
  PODS,
  requireAsBefore,
  requireVipd,
  ROOT,
  rules,
  show,
  startKubeProxy,
  startTraffic,
  TOPOLOGY,
  UNIT,
  writeConfigurations,
  writeKubeProxy,
  writeUnit,
  writtenFiles,
} from "./systemd_node.ts";

interface Node {
  readonly vipd: string;
  readonly mode: Mode;
  readonly server: ApiServer;
}

interface Step {
  readonly name: string;
  readonly run: (node: Node) => Promise<void>;
}

/** A refusal that leaves kube-proxy as it is: the very same run of it. */
function refused(name: string, { before, after, message }: {
  readonly before: () => Promise<unknown>;
  readonly after: () => Promise<unknown>;
  readonly message: RegExp;
}): Step {
  return {
    name,
    run: async ({ vipd }) => {
      const invocation = await show("kube-proxy", "InvocationID");
      await before();
      const { code, stdout } = await ended([vipd, "install"], LONG);
      await after();
      assert.match(stdout, message);
      assert.equal(code, 1, stdout);
      assert.equal(await show("kube-proxy", "InvocationID"), invocation);
      await requireAsBefore(stdout);
    },
  };
}

/** vipd is started and does not become ready: kube-proxy is started again. */
function givenBack(name: string, { flags, message }: {
  readonly flags: string;
  readonly message: RegExp;
}): Step {
  return {
    name,
    run: async ({ vipd }) => {
      await writeKubeProxy(flags);
      const { code, stdout } = await ended([vipd, "install", "--timeout=15s"], LONG);
      await writeKubeProxy(GOOD);
      assert.match(stdout, message);
      assert.equal(code, 1, stdout);
      await requireAsBefore(stdout);
    },
  };
}

const FAILURES: readonly Step[] = [
  refused("a bad configuration is refused", {
    before: () => writeKubeProxy(`--config=${ETC}/bad.conf`),
    after: () => writeKubeProxy(GOOD),
    message: /magic/,
  }),
  refused("flags in variables are refused", {
    before: () => writeKubeProxy("$KUBE_PROXY_FLAGS"),
    after: () => writeKubeProxy(GOOD),
    message: /Write VIPD_ARGS="…" into \/etc\/default\/vipd yourself/,
  }),
  refused("a masked kube-proxy that runs is refused", {
    before: () => passes(["systemctl", "mask", "kube-proxy"]),
    after: async () => {
      await Deno.remove(MASK);
      await passes(["systemctl", "daemon-reload"]);
      await passes(["systemctl", "enable", "kube-proxy"]);
    },
    message: /systemctl unmask kube-proxy\.service/,
  }),
  refused("a masked vipd is refused", {
    before: () => passes(["systemctl", "mask", "vipd"]),
    after: () => passes(["systemctl", "unmask", "vipd"]),
    message: /systemctl unmask vipd\.service/,
  }),
  refused("a read-only /etc is named", {
    before: () => passes(["mount", "-o", "remount,bind,ro", "/etc"]),
    after: () => passes(["mount", "-o", "remount,bind,rw", "/etc"]),
    message: /^Error: Cannot write \/etc\/default\/vipd: Read-only file system$/m,
  }),
  givenBack("vipd that ends gives back", {
    flags: `--config=${ETC}/garbage.conf`,
    message: /vipd\.service ended\. kube-proxy\.service goes on/,
  }),
  givenBack("an API server out of reach gives back", {
    flags: `--config=${ETC}/unreachable.conf`,
    message: /vipd\.service is not ready after 15s\. kube-proxy\.service goes on/,
  }),
];

const TAKING: readonly Step[] = [
  {
    name: "vipd takes over",
    run: async ({ vipd }) => {
      await passes([vipd, "install"]);
      await requireVipd();
    },
  },
  {
    name: "vipd is at work",
    run: async ({ server, mode }) => {
      server.apply({
        ...{ apiVersion: "v1", kind: "Service" },
        metadata: { name: "late", namespace: "edge" },
        spec: { clusterIP: "10.96.5.9", ports: [{ port: 80, protocol: "TCP" }] },
      });
      await eventually("the rules of a new Service", async () => {
        const text = await rules(mode);
        return text.includes("10.96.5.9") ? text : undefined;
      });
    },
  },
  {
    name: "a second installation changes nothing",
    run: async () => {
      const before = await writtenFiles();
      await passes(["/usr/local/sbin/vipd", "install"]);
      await requireVipd();
      assert.deepEqual(await writtenFiles(), before);
    },
  },
  {
    name: "kube-proxy that does not stay up: vipd goes on",
    run: async () => {
      await writeUnit("/bin/false");
      const { code, stdout } = await ended(["/usr/local/sbin/vipd", "uninstall"], LONG);
      await writeKubeProxy(GOOD);
      assert.match(stdout, /kube-proxy\.service does not stay up, so vipd goes on/);
      assert.equal(code, 1, stdout);
      await eventually("vipd is ready again", () => isActive("vipd"), { timeoutMs: 60_000 });
      await requireVipd();
    },
  },
  {
    name: "kube-proxy is given back to",
    run: async () => requireAsBefore(await passes(["/usr/local/sbin/vipd", "uninstall"])),
  },
  {
    name: "a second removal has nothing to do",
    run: async ({ vipd }) => {
      const said = await passes([vipd, "uninstall"]);
      assert.match(said, /vipd\.service is not installed, there is nothing to do/);
      await requireAsBefore(said);
    },
  },
];

const LAST: readonly Step[] = [
  {
    name: "a proxy that writes rules hands over and gets back",
    run: async ({ vipd, mode }) => {
      await Deno.copyFile(vipd, "/run/real-kube-proxy");
      await writeUnit(`/run/real-kube-proxy ${GOOD}`);
      await passes(["systemctl", "restart", "kube-proxy"]);
      await healthy();
      await passes([vipd, "install"]);
      await requireVipd();
      // As dpkg does when the package is removed.
      await requireAsBefore(await passes(["sh", `${ROOT}packaging/debian/prerm`, "remove"]));
      await healthy();
      assert.match(await rules(mode), /10\.96\.5\.9/);
    },
  },
  {
    name: "without kube-proxy.service, there and away",
    run: async ({ vipd, mode }) => {
      await passes(["systemctl", "disable", "--now", "kube-proxy"]);
      await Deno.remove(UNIT);
      await passes(["systemctl", "daemon-reload"]);
      await Deno.mkdir("/etc/vipd", { recursive: true });
      await Deno.copyFile(`${ETC}/config.conf`, "/etc/vipd/config.conf");
      await passes([vipd, "install"]);
      await healthy();
      await passes(["/usr/local/sbin/vipd", "uninstall"]);
      assert.equal(await show("vipd", "LoadState"), "not-found");
      assert.match(await rules(mode), /10\.96\.5\.1/);
    },
  },
];

/** What fails does not depend on the mode. */
const STEPS: Readonly<Record<Mode, readonly Step[]>> = {
  iptables: [...FAILURES, ...TAKING, ...LAST],
  ipvs: [...TAKING, ...LAST],
};

const FIRST = "the state of kube-proxy is in the kernel";
const TRAFFIC = "no byte of a connection was lost, no new connection refused";

/** Names of the steps, in order; the traffic over all of them is the last one. */
export function takeOverSteps(mode: Mode): readonly string[] {
  return [FIRST, ...STEPS[mode].map(({ name }) => name), TRAFFIC];
}

async function main([vipd = "", given]: readonly string[]): Promise<void> {
  const mode = given === "ipvs" ? "ipvs" : "iptables";
  await using network = await openNetwork(TOPOLOGY);
  // In mode iptables that is for others to do.
  await Deno.writeTextFile("/proc/sys/net/ipv4/ip_forward", "1");
  await using server = await startApiServer({ bootstrap: false, validate: false });
  server.seed(...JSON.parse(await Deno.readTextFile(`${CASE}/00.json`)).items);
  await using pods = startAgent(network, "pods");
  for (const host of PODS) await pods.serve({ protocol: "tcp", host, port: 8080, name: host });
  await writeConfigurations(server, mode);
  await startKubeProxy(mode);
  say(`ok ${FIRST}`);
  const traffic = await startTraffic(network);
  for (const { name, run } of STEPS[mode]) {
    await run({ vipd, mode, server });
    say(`ok ${name}`);
    say(`at ${new Date().toISOString()}`);
  }
  const report = await traffic.end();
  say(JSON.stringify(report));
  assert.deepEqual(report.failures, []);
  assert.ok(report.bytes > 1_000_000 && report.opened > 100, "there was hardly any traffic");
  say(`ok ${TRAFFIC}`);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    say(`failed: ${error instanceof Error ? error.stack : error}`);
    say((await ended(["tail", "-n", "20", LOG])).stdout);
    Deno.exit(1);
  }
  Deno.exit(0);
}
