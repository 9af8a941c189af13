import { equal, match, ok, rejects } from "node:assert/strict";
import { ended } from "./process.ts";
import { openNetwork } from "./netns.ts";

const PAIR = {
  tag: "vnt",
  namespaces: ["a", "b"],
  links: [[
    { in: "a", device: "e0", addresses: ["10.0.0.1/24", "fd00::1/64"] },
    { in: "b", device: "e0", addresses: ["10.0.0.2/24", "fd00::2/64"] },
  ]],
  routes: { b: ["default via 10.0.0.1", "default via fd00::1"] },
  sysctls: { a: { "ipv4/ip_forward": "1" } },
} as const;

Deno.test("openNetwork() makes links, addresses, routes and sysctls, and removes them", async () => {
  let name = "";
  {
    await using network = await openNetwork(PAIR);
    name = network.name("a");
    match(await network.run("b", ["ip", "route"]), /default via 10\.0\.0\.1/);
    equal(await network.sh("a", "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
    equal(await network.sh("b", "cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    const knock = await network.exec("b", ["bash", "-c", "</dev/tcp/fd00::1/9"]);
    match(knock.stderr, /refused/); // by the other end: it is there
    ok(!(await network.run("a", ["ip", "-6", "addr"])).includes("fe80"));
    network.spawn("a", ["sleep", "60"]).status.catch(() => {}); // does not keep it alive
  }
  ok(!(await ended(["ip", "netns", "list"])).stdout.includes(name));
});

Deno.test("openNetwork() removes what a run left that is no more", async () => {
  const left = "vnt-4194999-0-a"; // above the largest process id
  equal((await ended(["ip", "netns", "add", left])).code, 0);
  await using _network = await openNetwork(PAIR);
  ok(!(await ended(["ip", "netns", "list"])).stdout.includes(left));
});

Deno.test("run() throws what the command wrote to stderr", async () => {
  await using network = await openNetwork({ tag: "vnt", namespaces: ["a"] });
  await rejects(network.run("a", ["sh", "-c", "echo bad >&2; exit 3"]), /ended with 3: bad/);
});
