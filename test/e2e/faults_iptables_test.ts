/**
 * Trouble with the tools of iptables mode: restore is missing, fails, hangs, the lock is taken, or
 * somebody flushes the rules. It is retried, seen in metrics and health, and nothing is lost.
 *
 * Run by `deno run -A test/e2e/run.ts`.
 */

import { equal, ok } from "node:assert/strict";
import { eventually } from "../support/vipd.ts";
import { type Cluster, MODE, openCluster } from "./cluster.ts";
import { service, slice } from "./objects.ts";
import { ADDRESSES, type Pod } from "./topology.ts";

const TARGET = {
  protocol: "tcp",
  host: ADDRESSES.IPv4.service(30),
  port: 80,
  timeoutMs: 300,
} as const;

const FAILURES = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";

/** Short, so that drift and bad health are seen soon; shown by the healthz after twice of it. */
const SYNC_PERIOD_MS = 2_000;

let cluster: Cluster;
let tools: Tools;

Deno.test.beforeAll(async () => {
  if (MODE !== "iptables") return;
  const directory = await Deno.makeTempDir({ prefix: `vipd-tools-${Deno.pid}-` });
  tools = await Tools.install(directory);
  cluster = await openCluster({
    env: { PATH: directory, XTABLES_LOCKFILE: `${directory}/lock` },
    config: { iptables: { syncPeriod: `${SYNC_PERIOD_MS}ms` } },
  });
  cluster.server.apply(service("web", { clusterIP: TARGET.host }), slicesOf("pod-b"));
  await follows("pod-b");
});

Deno.test.afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** A directory that is the whole PATH of vipd. */
class Tools {
  private constructor(readonly directory: string) {}

  static async install(directory: string): Promise<Tools> {
    const tools = new Tools(directory);
    for (const tool of ["iptables", "ip6tables"]) {
      await tools.script(tool, `exec /usr/sbin/${tool} "$@"`);
      await tools.script(`${tool}-save`, `exec /usr/sbin/${tool}-save "$@"`);
    }
    await tools.heal();
    for (const tool of ["sh", "cat", "sleep", "ip", "modprobe"]) {
      await Deno.symlink(`/bin/${tool}`, `${directory}/${tool}`).catch(() => {});
    }
    return tools;
  }

  /** A tool is replaced at once: a file that is open for writing cannot be executed. */
  async script(tool: string, text: string): Promise<void> {
    const draft = `${this.directory}/.${tool}`;
    await Deno.writeTextFile(draft, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    await Deno.rename(draft, `${this.directory}/${tool}`);
  }

  /** Both restore tools do this instead. */
  async restore(text: string): Promise<void> {
    await this.script("iptables-restore", text);
    await this.script("ip6tables-restore", text.replaceAll("iptables", "ip6tables"));
  }

  async remove(): Promise<void> {
    for (const tool of ["iptables-restore", "ip6tables-restore"]) {
      await Deno.remove(`${this.directory}/${tool}`);
    }
  }

  async heal(): Promise<void> {
    await this.restore('exec /usr/sbin/iptables-restore "$@"');
  }

  /** All of iptables is the legacy one, which has a lock. */
  async becomeLegacy(): Promise<void> {
    for (const tool of ["iptables", "ip6tables"]) {
      for (const suffix of ["", "-save", "-restore"]) {
        const legacy = `/usr/sbin/${tool}-legacy${suffix}`;
        await this.script(`${tool}${suffix}`, `exec ${legacy} "$@"`);
      }
    }
  }
}

function slicesOf(pod: Pod): object {
  return slice("web", { family: "IPv4", pods: [pod] });
}

async function answeringPod(): Promise<string> {
  const answer = await cluster.probe("pod-a", TARGET);
  return answer.kind === "answer" ? answer.by : answer.kind;
}

async function follows(pod: Pod, timeoutMs = 30_000): Promise<void> {
  await eventually(`${pod} answers`, async () => {
    return await answeringPod() === pod ? true : undefined;
  }, { timeoutMs });
}

async function other(): Promise<Pod> {
  return await answeringPod() === "pod-b" ? "far-1" : "pod-b";
}

function trouble(title: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `iptables: ${title}`,
    ignore: MODE !== "iptables",
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await tools.heal();
      await cluster.restart("SIGTERM"); // trouble in a row is waited for longer and longer
      await fn();
    },
  });
}

/** A change cannot be written: that is counted, /healthz says so in time, and it comes in the end. */
async function isSeenAndRetried(spoil: () => Promise<void>): Promise<void> {
  const [before, next] = [await answeringPod(), await other()];
  equal(await cluster.health("/healthz"), 200);
  await spoil();
  cluster.server.apply(slicesOf(next));
  await eventually("failures are counted", async () => {
    return await cluster.metric(FAILURES) > 0 || undefined;
  }, { timeoutMs: 45_000 });
  equal(await answeringPod(), before, "rules stay");
  await eventually("/healthz says so", async () => {
    return await cluster.health("/healthz") === 503 || undefined;
  }, { timeoutMs: 10_000 });
  await tools.heal();
  await follows(next, 60_000);
  await eventually("/healthz is well again", async () => {
    return await cluster.health("/healthz") === 200 || undefined;
  });
}

trouble(
  "restore fails: seen, retried, nothing lost",
  () =>
    isSeenAndRetried(() =>
      tools.restore("cat >/dev/null; echo 'Could not fetch rule set generation id' >&2; exit 4")
    ),
);

trouble(
  "restore blames a line for what is not its fault: set aside, then tried again",
  async () => {
    const next = await other();
    await tools.restore("cat >/dev/null; echo 'iptables-restore: line 3 failed' >&2; exit 1");
    cluster.server.apply(slicesOf(next));
    await eventually("a service is set aside", async () => {
      return await cluster.metric("kubeproxy_vipd_quarantined_service_ports") > 0 || undefined;
    });
    await tools.heal();
    await follows(next);
  },
);

trouble(
  "restore is not there: seen, retried, nothing lost",
  () => isSeenAndRetried(() => tools.remove()),
);

trouble(
  "restore is killed half-way: seen, retried, nothing lost",
  () => isSeenAndRetried(() => tools.restore("kill -9 $$")),
);

trouble(
  "restore hangs: seen, retried, nothing lost",
  () => isSeenAndRetried(() => tools.restore("exec sleep 300")),
);

trouble("restore cannot work when vipd starts: not ready, then all rules come", async () => {
  await cluster.network.sh("node", "iptables -t nat -F; iptables -F");
  await tools.restore("cat >/dev/null; exit 1");
  await cluster.restart("SIGTERM", { waits: false });
  await eventually("failures are counted", async () => {
    return await cluster.metric(FAILURES).catch(() => 0) > 1 || undefined;
  });
  equal(await cluster.health("/readyz"), 503);
  await tools.heal();
  await cluster.ready();
  ok(["pod-b", "far-1"].includes(await answeringPod()));
});

trouble("somebody flushes all of nat: the rules come back", async () => {
  const before = await answeringPod();
  await cluster.network.sh("node", "iptables -t nat -F");
  ok(before !== await answeringPod());
  await eventually("the rules are back", async () => {
    return ["pod-b", "far-1"].includes(await answeringPod()) || undefined;
  });
});

trouble("somebody deletes the rules of one service: they come back", async () => {
  await cluster.network.sh(
    "node",
    "for chain in $(iptables-save -t nat | grep -o '^:KUBE-SVC[^ ]*' | tr -d :); do" +
      " iptables -t nat -F $chain; done",
  );
  await eventually("the rules are back", async () => {
    return ["pod-b", "far-1"].includes(await answeringPod()) || undefined;
  });
});

trouble("another program holds the xtables lock (legacy): waited for, nothing lost", async () => {
  await tools.becomeLegacy();
  const next = await other();
  await cluster.network.sh("node", "iptables-nft -t nat -F; iptables-nft -F");
  await cluster.restart("SIGTERM");
  const lock = cluster.network.spawn("node", ["flock", `${tools.directory}/lock`, "sleep", "12"]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  cluster.server.apply(slicesOf(next));
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  equal(await cluster.health("/livez"), 200, "the loop turns");
  ok(await answeringPod() !== next, "nobody writes beside a lock");
  await lock.status;
  await follows(next);
});
