import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { parseIp } from "../../model/ip.ts";
import { NetlinkChannel } from "../netlink/channel.ts";
import { type FakeKernel, FakePort } from "../netlink/fake.ts";
import { LINK_CONTRACT } from "./contract.ts";
import { FakeLinks } from "./fake.ts";
import { type Link, linksOver } from "./link.ts";

for (const { title, check } of LINK_CONTRACT) {
  Deno.test(`FakeLinks: ${title}`, () => check(new FakeLinks()));
}

const LINK: Link = { name: "kube-ipvs0", index: 7, kind: "dummy" };

/** A struct ifaddrmsg with its address. */
function entry(
  { index, prefixLength, ip }: { index: number; prefixLength: number; ip: readonly number[] },
): Extract<ReturnType<FakeKernel>, { replies: unknown }>["replies"][number] {
  const family = ip.length === 4 ? 2 : 10;
  return {
    type: 20,
    body(writer) {
      writer.raw(Uint8Array.of(family, prefixLength, 0, 0, index, 0, 0, 0));
      writer.bytes(1, Uint8Array.from(ip));
    },
  };
}

Deno.test("listAddresses() leaves out other devices and addresses with a network", () => {
  const replies = [
    entry({ index: 7, prefixLength: 32, ip: [10, 96, 0, 1] }),
    entry({ index: 3, prefixLength: 32, ip: [10, 96, 0, 2] }),
    entry({ index: 7, prefixLength: 24, ip: [10, 96, 0, 3] }),
  ];
  using links = linksOver(new NetlinkChannel(new FakePort(() => ({ replies }))));
  deepStrictEqual(links.listAddresses(LINK, "IPv4"), ["10.96.0.1"]);
});

Deno.test("createDummy() says which module the kernel lacks", () => {
  using links = linksOver(new NetlinkChannel(new FakePort(() => ({ errno: 95 }))));
  throws(() => links.createDummy("kube-ipvs0"), /modprobe dummy/);
});

Deno.test("changeAddresses() sends one batch and tells only what matters", () => {
  const port = new FakePort(({ type, payload }) => {
    if (type === 21) return { errno: 99 };
    return { errno: payload[15] === 1 ? 17 : 1 };
  });
  using links = linksOver(new NetlinkChannel(port));
  const [a, b, c] = [parseIp("10.0.0.1"), parseIp("10.0.0.2"), parseIp("10.0.0.3")];
  const { failures } = links.changeAddresses(LINK, { add: [a, b], remove: [c] });
  strictEqual(port.sent.length, 1);
  deepStrictEqual(failures.map(({ error }) => error.message), [
    "Cannot add address 10.0.0.2 of kube-ipvs0: operation not permitted (EPERM)",
  ]);
});
