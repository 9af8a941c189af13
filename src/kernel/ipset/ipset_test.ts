import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import { ExecError, type Run } from "../exec/run.ts";
import { NetlinkChannel } from "../netlink/channel.ts";
import { FakePort } from "../netlink/fake.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { IPSET_CONTRACT, SET_LIST_CONTRACT } from "./contract.ts";
import { diffSets } from "./diff.ts";
import { FakeIpset } from "./fake.ts";
import { ipsetTool } from "./ipset.ts";
import { setListOver } from "./list.ts";
import { formatRestore } from "./restore.ts";
import { parseSave } from "./save.ts";
import { type IpSet, maxElementsFor } from "./values.ts";

for (const { title, check } of IPSET_CONTRACT) {
  Deno.test(`FakeIpset: ${title}`, () => check(new FakeIpset()));
}

for (const { title, check } of SET_LIST_CONTRACT) {
  const ipset = new FakeIpset();
  Deno.test(`FakeIpset as a list: ${title}`, () => check({ ipset, list: ipset }));
}

const SAVED = `create KUBE-A hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12
add KUBE-A 10.96.0.1,tcp:443
add KUBE-A 10.96.0.2,udp:53 comment "two words"
create other hash:net family inet6 hashsize 1024 maxelem 7 timeout 0
add other 2001:db8::/32 timeout 0
create KUBE-P bitmap:port range 0-65535
add KUBE-P 80
`;

Deno.test("parseSave() reads types, families, limits and entries of the sets wanted", () => {
  const sets = parseSave(SAVED, (name) => name.startsWith("KUBE-"));
  deepStrictEqual([...sets.values()], [
    {
      name: "KUBE-A",
      type: "hash:ip,port",
      family: "IPv4",
      maxElements: 65536,
      entries: new Set(["10.96.0.1,tcp:443", "10.96.0.2,udp:53"]),
    },
    {
      name: "KUBE-P",
      type: "bitmap:port",
      family: undefined,
      maxElements: Infinity,
      entries: new Set(["80"]),
    },
  ]);
  strictEqual(parseSave(SAVED, () => true).get("other")?.family, "IPv6");
});

for (const line of ["add KUBE-A 10.0.0.1", "create KUBE-A", "nonsense", "add"]) {
  Deno.test(`parseSave() refuses ${JSON.stringify(line)}`, () => {
    throws(() => parseSave(line, () => true), SyntaxError);
  });
}

const LIMITS = [[0, 65_536], [58_982, 65_536], [58_983, 131_072], [200_000, 262_144]] as const;
for (const [count, want] of LIMITS) {
  Deno.test(`maxElementsFor(${count}) is ${want}`, () => strictEqual(maxElementsFor(count), want));
}

function clusterIps(count: number): IpSet {
  const ips = Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  return {
    header: { name: "KUBE-A", type: "hash:ip", family: "IPv4", maxElements: 65_536 },
    entries: new Set(ips),
  };
}

Deno.test("100,000 entries are wanted: the set grows past 65,536 and nothing is dropped", async () => {
  const ipset = new FakeIpset();
  for (const count of [10, 60_000, 100_000]) {
    const { changes } = diffSets(await ipset.save("KUBE-"), [clusterIps(count)]);
    await ipset.restore(formatRestore(changes));
    strictEqual(ipset.sets.get("KUBE-A")?.entries.size, count);
  }
  strictEqual(ipset.sets.get("KUBE-A")?.maxElements, 131_072);
  strictEqual(ipset.sets.size, 1);
});

Deno.test("a set that was larger once is not made smaller", async () => {
  const ipset = new FakeIpset();
  await ipset.restore("create KUBE-A hash:ip family inet maxelem 131072\n");
  const { changes } = diffSets(await ipset.save("KUBE-"), [clusterIps(1)]);
  strictEqual(formatRestore(changes), "add KUBE-A 10.0.0.0\n");
});

Deno.test("formatRestore() of no difference is empty, and restoring it starts no process", async () => {
  const run: Run = () => Promise.reject(new Error("started"));
  strictEqual(formatRestore(diffSets(new Map(), []).changes), "");
  await ipsetTool(run).restore("");
});

Deno.test("ipsetTool() names the package when the tool is missing", async () => {
  const run: Run = () => Promise.reject(new ExecError("ipset version", { failure: "not-found" }));
  await rejects(ipsetTool(run).version(), /install the Debian package ipset/);
});

Deno.test("ipsetTool() reads the version", async () => {
  const stdout = "ipset v7.17, protocol version: 7\n";
  strictEqual(await ipsetTool(() => Promise.resolve({ stdout, stderr: "" })).version(), "7.17");
});

Deno.test("ipsetTool() removes what a killed run left of a growing set", async () => {
  const seen: string[] = [];
  const run: Run = (_command, args) => {
    seen.push(args.join(" "));
    if (seen.length > 1) return Promise.resolve({ stdout: "", stderr: "" });
    const stderr = "ipset v7.17: Error in line 1: Set cannot be created: it already exists";
    return Promise.reject(new ExecError("ipset", { failure: "exit", code: 1, stderr }));
  };
  await ipsetTool(run).restore("create KUBE-GROWING hash:ip\n");
  deepStrictEqual(seen, ["restore -exist", "destroy KUBE-GROWING", "restore -exist"]);
});

Deno.test("parseSave() takes a set that holds less than a plain one for another type", () => {
  const text = "create a bitmap:port range 0-1024\ncreate b bitmap:port range 0-65535\n" +
    "create c hash:ip family inet maxelem 65536 netmask 24 timeout 9\n";
  const types = [...parseSave(text, () => true).values()].map(({ type }) => type);
  deepStrictEqual(types, [
    "bitmap:port range 0-1024",
    "bitmap:port",
    "hash:ip netmask 24 timeout 9",
  ]);
});

Deno.test("a list of sets that cannot be decoded is refused, not guessed", () => {
  const body = (writer: MessageWriter): void => {
    writer.raw(new Uint8Array(4)); // struct nfgenmsg
    writer.string(2, "KUBE-A");
    const entries = writer.open(8);
    const entry = writer.open(7);
    const ip = writer.open(1);
    writer.bytes(1, Uint8Array.of(10, 0, 0));
    for (const mark of [ip, entry, entries]) writer.close(mark);
  };
  const replies = [{ type: 0x606, body }];
  using list = setListOver(new NetlinkChannel(new FakePort(() => ({ replies }))));
  const isWanted = (name: string): boolean => name === "KUBE-A";
  throws(() => list.list({ isWanted, what: "entries" }), /an address has 3 bytes/);
});
