import { deepEqual, equal, ok } from "node:assert/strict";
import { canonicalIptables } from "./iptables.ts";
import { canonicalNftables, canonicalOtherTables } from "./nftables.ts";
import {
  canonicalAddresses,
  canonicalConntrack,
  canonicalIpset,
  canonicalIpvs,
  canonicalIpvsTimeouts,
} from "./others.ts";

const CASES = new URL("../cases/", import.meta.url);

const FORMS: Readonly<Record<string, (text: string) => string>> = {
  "iptables.v4": canonicalIptables,
  "iptables.v6": canonicalIptables,
  "nftables.v4": canonicalNftables,
  "nftables.v6": canonicalNftables,
  "nftables.other": canonicalOtherTables,
  "ipset.save": canonicalIpset,
  "ipvsadm.txt": canonicalIpvs,
  "ipvs-timeouts.txt": canonicalIpvsTimeouts,
};

Deno.test("every captured file is in canonical form already", () => {
  const seen = new Set<string>();
  for (const path of captured(CASES)) {
    const name = path.pathname.split("/").at(-1) ?? "";
    const canonical = FORMS[name];
    if (!canonical) continue;
    seen.add(name);
    const text = Deno.readTextFileSync(path);
    equal(canonical(text), text, path.pathname);
  }
  deepEqual([...seen].sort(), Object.keys(FORMS).sort());
});

function* captured(directory: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) yield* captured(new URL(`${name}/`, directory));
    else if (directory.pathname.includes("/expected/")) yield new URL(name, directory);
  }
}

Deno.test("canonicalIptables() keeps the order of rules that have one", () => {
  const rules = [
    "-A KUBE-SERVICES -d 10.0.0.2/32 -p tcp -m tcp --dport 80 -j B",
    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 443 -j A",
    "-A KUBE-SERVICES -j RETURN",
    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j A",
  ];
  const saved = (lines: readonly string[]): string =>
    ["*nat", ":OUTPUT ACCEPT [1:60]", ":KUBE-SERVICES - [0:0]", ...lines, "COMMIT", ""].join("\n");
  const [second, first, ...rest] = rules;
  equal(
    canonicalIptables(`# Generated\n${saved(rules)}*mangle\n:INPUT ACCEPT [0:0]\nCOMMIT\n`),
    saved([first ?? "", second ?? "", ...rest]).replaceAll(/ \[\d+:\d+\]/g, ""),
  );
});

Deno.test("canonicalNftables() unfolds and sorts elements, and forgets times and counters", () => {
  const listed = `table ip kube-proxy {
	set s {
		type ipv4_addr
		elements = { 10.0.0.2 timeout 3h expires 2h5m,
			     10.0.0.1 comment "a, b { c" }
	}

	chain c {
		counter packets 3 bytes 9 jump d # handle 4
		dnat to numgen random mod 12 map { 10 : b, 2 : a }
	}
}
`;
  const canonical = canonicalNftables(listed);
  ok(canonical.includes(`elements = {\n\t\t\t10.0.0.1 comment "a, b { c"\n\t\t\t10.0.0.2\n\t\t}`));
  ok(canonical.includes("\t\tjump d\n"));
  ok(canonical.includes("map { 2 : a, 10 : b }"));
});

Deno.test("canonicalAddresses() and canonicalConntrack() keep what the captured ones show", () => {
  equal(
    canonicalAddresses(
      "3: kube-ipvs0: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN group default qlen 1000\n" +
        "    link/ether 22:5d:0e:08:42:a1 brd ff:ff:ff:ff:ff:ff\n" +
        "    inet 10.0.0.1/32 scope global kube-ipvs0\n       valid_lft forever\n",
    ),
    "device kube-ipvs0 BROADCAST,NOARP state DOWN\ninet 10.0.0.1/32 scope global\n",
  );
  equal(
    canonicalConntrack(
      "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] " +
        "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1\n" +
        "tcp      6 9 ESTABLISHED src=1.1.1.1 dst=192.168.77.1 sport=1 dport=2 src=192.168.77.1\n",
      "192.168.77.1",
    ),
    "udp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] " +
      "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1\n",
  );
});
