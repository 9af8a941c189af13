/**
 * The tables of src/kernel/{ipvs,link,ipset}/contract.ts against a kernel that has IPVS, beside
 * ipvsadm(8) and ip(8). Needs user-mode-linux, ipvsadm, iproute2, ipset.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { IPSET_CONTRACT, SET_LIST_CONTRACT } from "../../src/kernel/ipset/contract.ts";
import { ipsetTool } from "../../src/kernel/ipset/ipset.ts";
import { openSetList } from "../../src/kernel/ipset/list.ts";
import { addContractServers, IPVS_CONTRACT } from "../../src/kernel/ipvs/contract.ts";
import { type Ipvs, openIpvs } from "../../src/kernel/ipvs/ipvs.ts";
import { plainVirtualServer } from "../../src/kernel/ipvs/values.ts";
import { DEVICE, LINK_CONTRACT } from "../../src/kernel/link/contract.ts";
import { openLinks } from "../../src/kernel/link/link.ts";
import { inUml } from "../contract/inside.ts";
import { parseIp } from "../../src/model/ip.ts";
import { ended } from "../support/process.ts";

async function stdoutOf(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await ended(command);
  strictEqual(code, 0, stderr);
  return stdout;
}

/** `ipvsadm -Sn`, sorted. */
async function ipvsadm(): Promise<string[]> {
  return (await stdoutOf("ipvsadm", "-Sn")).split("\n").filter((line) => line !== "").sort();
}

/** What ipvsadm(8) says of the servers of the contract. */
const SAVED = [
  "-A -t 10.96.0.1:80 -s rr",
  "-A -t 10.96.0.2:80 -s mh -p 60 -M 255.255.255.0 -b mh-port",
  "-A -t [fd00:96::1]:80 -s wlc -p 10800",
  "-A -u 10.96.0.1:80 -s lc",
  "-A --sctp-service 10.96.0.1:80 -s sh",
  "-a -t 10.96.0.1:80 -r 10.0.0.5:8080 -m -w 1",
  "-a -t 10.96.0.1:80 -r 10.0.0.6:8080 -m -w 0",
  "-a -t [fd00:96::1]:80 -r [fd00::5]:8080 -m -w 1",
].sort();

const PLAIN = plainVirtualServer({ ip: parseIp("10.98.0.1"), protocol: "TCP", port: 1 }, "rr");

/** Both numbers are printed, so that the gain of batches can be read off a test run. */
function measure(ipvs: Ipvs, { batch }: { batch: number }): number {
  const changes = Array.from({ length: 1000 }, (_, i) => ({
    kind: "add-virtual-server" as const,
    server: { ...PLAIN, address: { ...PLAIN.address, port: i + 1 } },
  }));
  const before = performance.now();
  for (let i = 0; i < changes.length; i += batch) ipvs.apply(changes.slice(i, i + batch));
  const microseconds = (performance.now() - before) * 1000 / changes.length;
  strictEqual(ipvs.listVirtualServers().length, 1000);
  ipvs.flush();
  return microseconds;
}

function defineIpsetTests(): void {
  for (const { title, check } of IPSET_CONTRACT) {
    Deno.test(`ipset: ${title}`, async () => {
      await stdoutOf("ipset", "destroy");
      await check(ipsetTool());
    });
  }

  for (const { title, check } of SET_LIST_CONTRACT) {
    Deno.test(`sets as a list: ${title}`, async () => {
      await stdoutOf("ipset", "destroy");
      using list = openSetList();
      await check({ ipset: ipsetTool(), list });
    });
  }
}

inUml(import.meta.url, () => {
  for (const { title, check } of IPVS_CONTRACT) {
    Deno.test(`ipvs: ${title}`, () => {
      using ipvs = openIpvs();
      ipvs.flush();
      check(ipvs);
    });
  }

  Deno.test("ipvs: ipvsadm(8) reads what we wrote", async () => {
    using ipvs = openIpvs();
    ipvs.flush();
    addContractServers(ipvs);
    deepStrictEqual(await ipvsadm(), SAVED);
  });

  Deno.test("ipvs: we read what ipvsadm(8) wrote, but for firewall marks", async () => {
    using ipvs = openIpvs();
    const before = ipvs.listVirtualServers();
    ipvs.flush();
    const lines = [...SAVED, "-A -f 7 -s rr"];
    const { code, stderr } = await ended(["ipvsadm", "-R"], { stdin: `${lines.join("\n")}\n` });
    strictEqual(code, 0, stderr);
    const byText = (servers: readonly unknown[]): string[] =>
      servers.map((one) => JSON.stringify(one)).sort();
    deepStrictEqual(byText(ipvs.listVirtualServers()), byText(before));
  });

  Deno.test("ipvs: a batch costs less than requests one by one", () => {
    using ipvs = openIpvs();
    ipvs.flush();
    measure(ipvs, { batch: 1000 }); // warm up
    const [single, batched] = [measure(ipvs, { batch: 1 }), measure(ipvs, { batch: 1000 })];
    const numbers = `${single.toFixed(0)} us alone, ${batched.toFixed(0)} us in a batch`;
    Deno.stdout.writeSync(new TextEncoder().encode(`one virtual server: ${numbers}\n`));
    ok(batched < single);
  });

  for (const { title, check } of LINK_CONTRACT) {
    Deno.test(`link: ${title}`, () => {
      using links = openLinks();
      const old = links.find(DEVICE);
      if (old !== undefined) links.remove(old);
      check(links);
    });
  }

  Deno.test("link: ip(8) sees a dummy device that is down, with whole addresses", async () => {
    const text = await stdoutOf("ip", "-o", "addr", "show", "dev", DEVICE);
    ok(text.includes("inet 10.97.0.0/32 scope global"), text);
    const link = await stdoutOf("ip", "-d", "-o", "link", "show", "dev", DEVICE);
    ok(/<BROADCAST,NOARP>.* dummy /.test(link), link);
  });

  defineIpsetTests();
});
