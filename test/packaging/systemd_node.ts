/**
 * The node of systemd_take_over.ts: links and pods, kube-proxy.service and its configurations, and
 * what is asked of the two services.
 *
 *     outside: clients         node: systemd, API server, proxy       pods: servers
 *     192.168.77.1  o0 ------- n0  192.168.77.2   10.244.0.1  p0 ---- eth0  10.244.1.51:8080
 *     192.168.77.3                 :30080, 10.96.5.1:80                     10.244.2.51:8080
 *
 * @module
 */

import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import type { ApiServer } from "../support/apiserver/mod.ts";
import { HERE, type Network, type Topology } from "../support/netns.ts";
import { ended } from "../support/process.ts";
import { eventually } from "../support/vipd.ts";
import type { TrafficReport } from "./traffic.ts";

export const ROOT = new URL("../../", import.meta.url).pathname;
export const CASE = `${ROOT}test/conformance/cases/nodeport`;
export const UNIT = "/run/systemd/system/kube-proxy.service";
export const MASK = "/etc/systemd/system/kube-proxy.service";
export const ETC = "/etc/kube-proxy";
export const PODS = ["10.244.1.51", "10.244.2.51"];
/** What is asked, and from where. */
const TARGETS = ["10.96.5.1:80,192.168.77.1", "192.168.77.2:30080,192.168.77.3"];

export const TOPOLOGY: Topology = {
  tag: "vto",
  namespaces: ["outside", "pods"],
  links: [
    [
      { in: HERE, device: "n0", addresses: ["192.168.77.2/24"] },
      { in: "outside", device: "o0", addresses: ["192.168.77.1/24", "192.168.77.3/24"] },
    ],
    [
      { in: HERE, device: "p0", addresses: ["10.244.0.1/32"] },
      { in: "pods", device: "eth0", addresses: PODS.map((address) => `${address}/32`) },
    ],
  ],
  routes: {
    [HERE]: [...PODS.map((address) => `${address} dev p0`), "default via 192.168.77.1"],
    outside: ["default via 192.168.77.2"],
    pods: ["10.244.0.1 dev eth0", "default via 10.244.0.1"],
  },
};

/** Modes that the kernel of user-mode-linux can do. */
export type Mode = "iptables" | "ipvs";

const DENO = [Deno.execPath(), "run", "--no-check", "--cached-only", "-A"];
export const LOG = "/run/kube-proxy.log";
export const LONG = { timeoutMs: 180_000 };
/** Flags of kube-proxy with which all is well. */
export const GOOD = `--config=${ETC}/config.conf --v=2`;

export async function passes(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ended(command, LONG);
  assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

export async function show(unit: string, property: string): Promise<string> {
  const shown = ["systemctl", "show", `${unit}.service`, `--property=${property}`, "--value"];
  return (await passes(shown)).trim();
}

export async function isActive(unit: string): Promise<true | undefined> {
  return await show(unit, "ActiveState") === "active" ? true : undefined;
}

/** kube-proxy runs and is enabled, and nothing of vipd is left. */
export async function requireAsBefore(said: string): Promise<void> {
  assert.equal(await show("kube-proxy", "ActiveState"), "active", said);
  assert.match(await show("kube-proxy", "UnitFileState"), /^enabled/);
  assert.equal(await show("vipd", "LoadState"), "not-found");
  const left = await ended(["ls", "/usr/local/sbin/vipd", "/etc/vipd/replaced"]);
  assert.equal(left.stdout, "");
}

export async function requireVipd(): Promise<void> {
  assert.equal(await show("vipd", "ActiveState"), "active");
  assert.equal(await show("vipd", "UnitFileState"), "enabled");
  assert.equal(await show("kube-proxy", "ActiveState"), "inactive");
  assert.match(await show("kube-proxy", "UnitFileState"), /^disabled/);
  await healthy();
}

export async function healthy(path: "/healthz" | "/readyz" = "/readyz"): Promise<void> {
  await eventually(`${path} is 200`, async () => {
    const { code } = await ended(["curl", "-sf", `http://127.0.0.1:10256${path}`]);
    return code === 0 ? true : undefined;
  }, { timeoutMs: 60_000 });
}

export async function writtenFiles(): Promise<readonly string[]> {
  const paths = ["/etc/default/vipd", "/etc/vipd/replaced", "/etc/systemd/system/vipd.service"];
  return await Promise.all(paths.map((path) => Deno.readTextFile(path)));
}

export async function rules(mode: Mode): Promise<string> {
  return await passes(mode === "ipvs" ? ["ipvsadm", "-Sn"] : ["iptables-legacy-save"]);
}

export async function writeKubeProxy(flags: string): Promise<void> {
  await writeUnit(`/run/kube-proxy ${flags}`);
}

export async function writeUnit(command: string): Promise<void> {
  const service =
    `ExecStart=${command}\nRestart=always\nRestartSec=1s\nStandardError=append:${LOG}\n`;
  const text = `[Service]\n${service}[Install]\nWantedBy=multi-user.target\n`;
  await Deno.writeTextFile(UNIT, text);
  await passes(["systemctl", "daemon-reload"]);
}

/** The configuration of the case, and three that fail in different ways. */
export async function writeConfigurations(server: ApiServer, mode: Mode): Promise<void> {
  const { "proxy.kubeconfig": kubeconfig = "" } = await server.writeFiles(ETC);
  const config = parse(await Deno.readTextFile(`${CASE}/config.yaml`));
  const put = async (name: string, own: object) => {
    await Deno.writeTextFile(`${ETC}/${name}.conf`, stringify({ ...config, mode, ...own }));
  };
  const connected = (path: string) => ({ clientConnection: { kubeconfig: path } });
  await put("config", connected(kubeconfig));
  await put("bad", { ...connected(kubeconfig), mode: "magic" });
  await put("garbage", connected(`${ETC}/garbage.kubeconfig`));
  await put("unreachable", connected(`${ETC}/unreachable.kubeconfig`));
  await Deno.writeTextFile(`${ETC}/garbage.kubeconfig`, "apiVersion: v1\nkind: Config\n");
  const text = await Deno.readTextFile(kubeconfig);
  const elsewhere = text.replace(server.url, "https://127.0.0.1:9");
  await Deno.writeTextFile(`${ETC}/unreachable.kubeconfig`, elsewhere);
}

export async function startKubeProxy(mode: Mode): Promise<void> {
  const state = `${CASE}/expected/${mode}/00`;
  const script = [
    "#!/bin/sh",
    "export DENO_DIR=/run/deno DENO_NO_UPDATE_CHECK=1",
    `exec ${DENO.join(" ")} ${ROOT}test/packaging/stand_in.ts ${state} "$@"`,
  ];
  await Deno.writeTextFile("/run/kube-proxy", `${script.join("\n")}\n`, { mode: 0o755 });
  await Deno.mkdir("/run/systemd/system", { recursive: true });
  await writeKubeProxy(GOOD);
  await passes(["systemctl", "enable", "--now", "kube-proxy"]);
  await healthy("/healthz");
  assert.match(await rules(mode), /10\.96\.5\.1/);
}

/** Connections under watch. */
export interface Traffic {
  end(): Promise<TrafficReport>;
}

/** Starts clients; they are being answered when the promise resolves. */
export async function startTraffic(network: Network): Promise<Traffic> {
  const child = network.spawn(
    "outside",
    [...DENO, `${ROOT}test/packaging/traffic.ts`, ...TARGETS],
    { stdin: "piped", stdout: "piped" },
  );
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await lines.read()).value, "flows\n");
  return {
    async end() {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("end\n"));
      let text = "";
      for (let part = await lines.read(); !part.done; part = await lines.read()) text += part.value;
      return decodeReport(text);
    },
  };
}

function decodeReport(text: string): TrafficReport {
  return JSON.parse(text) as TrafficReport;
}
