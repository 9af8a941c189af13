/**
 * What stands for kube-proxy as a service: the kernel has the state that the real one was seen to
 * write in a conformance case, its ports are taken, and it leaves all rules when it ends.
 *
 *     stand_in.ts test/conformance/cases/nodeport/expected/ipvs/00 --config=…
 *
 * @module
 */

import { readIfThere } from "../support/files.ts";
import { ended } from "../support/process.ts";

const PORTS = [10249, 10256];

async function load(directory: string): Promise<void> {
  const read = (name: string) => readIfThere(`${directory}/${name}`);
  const addresses = (await read("addresses.txt")).matchAll(/^inet6? (\S+)/gm);
  await feed(["ipset", "restore"], await read("ipset.save"));
  const lines = [...addresses].map(([, address]) => `addr add ${address} dev kube-ipvs0\n`);
  if (lines.length > 0) {
    await feed(["ip", "-batch", "-"], `link add kube-ipvs0 type dummy\n${lines.join("")}`);
  }
  await feed(["ipvsadm", "-R"], await read("ipvsadm.txt"));
  // Those of ipvs exist now.
  for (const line of (await read("sysctls.txt")).split("\n")) {
    const [path, value] = line.split("=");
    if (value !== undefined) await Deno.writeTextFile(`/proc/sys/net/${path}`, value);
  }
  // Counters of dropped packets are objects of their own, which a kernel may lack.
  const withoutCounters = (text: string) => text.replaceAll(/ -m nfacct --nfacct-name +\S+/g, "");
  for (const [tool, file] of [["iptables", "iptables.v4"], ["ip6tables", "iptables.v6"]] as const) {
    await feed([`${tool}-legacy-restore`], withoutCounters(await read(file)));
  }
}

async function feed(command: readonly string[], stdin: string): Promise<void> {
  if (stdin === "") return;
  const { code, stderr } = await ended(command, { stdin });
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

const [directory = ""] = Deno.args;
const { stdout } = await ended(["iptables-legacy-save", "-t", "nat"]);
if (!stdout.includes("KUBE-SERVICES")) await load(directory);
for (const port of PORTS) Deno.serve({ port, onListen: () => {} }, () => new Response("ok"));
