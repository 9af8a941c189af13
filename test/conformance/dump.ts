/**
 * Reads the state of a node: one shell inside prints everything, what is outside asks the health
 * check ports. Made canonical as README.md says.
 *
 * @module
 */

import type { JsonObject } from "../support/apiserver/json.ts";
import { numberAt, textAt } from "../support/apiserver/json.ts";
import { getOnce } from "../support/vipd.ts";
import { canonicalIptables } from "./canonical/iptables.ts";
import { canonicalNftables, canonicalOtherTables } from "./canonical/nftables.ts";
import {
  canonicalAddresses,
  canonicalConntrack,
  canonicalIpset,
  canonicalIpvs,
  canonicalIpvsTimeouts,
} from "./canonical/others.ts";
import type { Mode, State } from "./cases.ts";

/** Addresses of the node and of what is outside of it. */
export const PLAN = {
  node: ["192.168.77.2", "fd00:77::2"],
  outside: ["192.168.77.1", "fd00:77::1"],
} as const;

const SYSCTLS = [
  "ipv4/ip_forward",
  ...["route_localnet", "arp_ignore", "arp_announce"].map((name) => `ipv4/conf/all/${name}`),
  ...["conntrack", "conn_reuse_mode", "expire_nodest_conn", "expire_quiescent_template"]
    .map((name) => `ipv4/vs/${name}`),
  "ipv6/conf/all/forwarding",
  ...[
    "tcp_be_liberal",
    "tcp_timeout_established",
    "tcp_timeout_close_wait",
    "udp_timeout",
    "udp_timeout_stream",
  ].map((name) => `netfilter/nf_conntrack_${name}`),
];

/** What is read, and how. A tool that fails has nothing to say. */
const COMMANDS = {
  iptables4: "iptables-save",
  iptables6: "ip6tables-save",
  nft4: "nft list table ip kube-proxy",
  nft6: "nft list table ip6 kube-proxy",
  nftTables: "nft list tables",
  sysctls: `grep -s . ${SYSCTLS.map((name) => `/proc/sys/net/${name}`).join(" ")}`,
  conntrack: "conntrack -L",
  ipset: "ipset save",
  ipvs: "ipvsadm -Sn",
  ipvsTimeouts: "ipvsadm -l --timeout",
  addresses: "ip addr show kube-ipvs0",
} as const;

type Section = keyof typeof COMMANDS;

const IPVS_ONLY: readonly Section[] = ["ipset", "ipvs", "ipvsTimeouts", "addresses"];

/** The kernel in which ipvs mode is tested has no nf_tables. */
const NOT_IN_IPVS: readonly Section[] = ["nft4", "nft6", "nftTables"];

/** Which node, and what to look at. */
export interface DumpOptions {
  /** Runs a script in the node. */
  readonly sh: (script: string) => Promise<string>;
  readonly mode: Mode;
  readonly conntrack: boolean;
  /** Values before the case, by {@linkcode readSysctls}. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Objects as they are now. */
  readonly services: readonly JsonObject[];
}

/** The state of the node; empty files are left out. */
export async function dumpState(options: DumpOptions): Promise<State> {
  const [raw, healthChecks] = await Promise.all([
    readSections(options),
    readHealthChecks(options.services),
  ]);
  const files: Record<string, string> = {
    "iptables.v4": canonicalIptables(raw.iptables4),
    "iptables.v6": canonicalIptables(raw.iptables6),
    "nftables.v4": canonicalNftables(raw.nft4),
    "nftables.v6": canonicalNftables(raw.nft6),
    "nftables.other": canonicalOtherTables(raw.nftTables),
    "ipset.save": canonicalIpset(raw.ipset),
    "ipvsadm.txt": canonicalIpvs(raw.ipvs),
    "ipvs-timeouts.txt": canonicalIpvsTimeouts(raw.ipvsTimeouts),
    "addresses.txt": canonicalAddresses(raw.addresses),
    "sysctls.txt": changedSysctls(raw.sysctls, options.sysctls),
    "healthchecks.txt": healthChecks,
    "conntrack.txt": options.conntrack ? canonicalConntrack(raw.conntrack, PLAN.outside[0]) : "",
  };
  return new Map(Object.entries(files).filter(([, text]) => text !== ""));
}

/** Values of the sysctls that are part of the state. */
export async function readSysctls(
  sh: DumpOptions["sh"],
): Promise<ReadonlyMap<string, string>> {
  return parseSysctls(await sh(`${COMMANDS.sysctls} || true`));
}

const MARK = "=====";

async function readSections(options: DumpOptions): Promise<Record<Section, string>> {
  const isWanted = (section: string): boolean =>
    !(options.mode === "ipvs" ? NOT_IN_IPVS : IPVS_ONLY).some((one) => one === section) &&
    (options.conntrack || section !== "conntrack");
  const script = Object.entries(COMMANDS)
    .filter(([section]) => isWanted(section))
    .map(([section, command]) => `echo ${MARK}${section}; { ${command}; } 2>/dev/null || true`);
  const printed = await options.sh(script.join("\n"));
  const sections: Record<Section, string> = {
    iptables4: "",
    iptables6: "",
    nft4: "",
    nft6: "",
    nftTables: "",
    sysctls: "",
    conntrack: "",
    ipset: "",
    ipvs: "",
    ipvsTimeouts: "",
    addresses: "",
  };
  for (const part of printed.split(MARK).slice(1)) {
    const end = part.indexOf("\n");
    const section = part.slice(0, end);
    if (isSection(section)) sections[section] = part.slice(end + 1);
  }
  return sections;
}

function isSection(word: string): word is Section {
  return Object.hasOwn(COMMANDS, word);
}

function parseSysctls(printed: string): Map<string, string> {
  const lines = printed.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice("/proc/sys/net/".length, colon), line.slice(colon + 1)];
  }));
}

function changedSysctls(printed: string, before: ReadonlyMap<string, string>): string {
  return [...parseSysctls(printed)]
    .filter(([name, value]) => before.get(name) !== value)
    .map(([name, value]) => `${name}=${value}\n`)
    .sort()
    .join("");
}

async function readHealthChecks(services: readonly JsonObject[]): Promise<string> {
  const asked = services.flatMap((service) => {
    const port = numberAt(service, "spec.healthCheckNodePort");
    const name = `${textAt(service, "metadata.namespace")}/${textAt(service, "metadata.name")}`;
    return port === 0 ? [] : PLAN.node.map((address) => ({
      name,
      host: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    }));
  });
  const lines = await Promise.all(
    asked.map(async ({ name, host }) => `${name} ${host} ${await askHealth(host)}\n`),
  );
  return lines.sort().join("");
}

async function askHealth(host: string): Promise<string> {
  const answer = await getOnce(`http://${host}/`);
  if (!answer) return "no answer";
  const { status, headers, body } = answer;
  const type = headers.get("content-type");
  const weight = headers.get("x-load-balancing-endpoint-weight");
  return `${status} type=${type} weight=${weight} ${JSON.stringify(JSON.parse(body))}`;
}
