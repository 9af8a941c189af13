import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { NetlinkChannel } from "../netlink/channel.ts";
import { NLM_F_DUMP_INTR } from "../netlink/constants.ts";
import { ERRNO, NetlinkError } from "../netlink/errors.ts";
import { datagramOf, type FakeKernel, FakePort, type FakeReply } from "../netlink/fake.ts";
import { writeNfgen } from "../netlink/nfnetlink.ts";
import { CHAIN, FAMILY_NUMBER, MSG, TABLE } from "./constants.ts";
import { NetlinkNft } from "./netlink.ts";
import { isRefused } from "./nft.ts";
import type { TableName } from "./values.ts";

const OURS: TableName = { family: "ip", name: "kube-proxy" };

function named(type: number, names: Readonly<Record<number, string>>): FakeReply {
  return {
    type,
    flags: NLM_F_DUMP_INTR,
    body(writer) {
      writeNfgen(writer, FAMILY_NUMBER[OURS.family]);
      for (const [attribute, name] of Object.entries(names)) {
        writer.string(Number(attribute), name);
      }
    },
  };
}

function generation(number: number): FakeReply {
  return {
    type: MSG.NEWGEN,
    body(writer) {
      writeNfgen(writer, 0);
      writer.be32(1, number);
    },
  };
}

const breathe = () => Promise.resolve();

Deno.test("list() reads a table though other tables change at each message of it", async () => {
  const listeners: FakePort[] = [];
  let now = 0;
  const kernel: FakeKernel = ({ type }) => {
    if (type === MSG.GETGEN) return { replies: [generation(now)] };
    now++;
    for (const port of listeners) {
      port.deliver(datagramOf(named(MSG.NEWRULE, { [TABLE.NAME]: "others" }), 0));
      port.deliver(datagramOf(generation(now), 0));
    }
    if (type === MSG.GETTABLE) {
      return { replies: [named(MSG.NEWTABLE, { [TABLE.NAME]: OURS.name })] };
    }
    if (type !== MSG.GETCHAIN) return { replies: [] };
    return {
      replies: [
        named(MSG.NEWCHAIN, { [CHAIN.TABLE]: OURS.name, [CHAIN.NAME]: "services" }),
        named(MSG.NEWCHAIN, { [CHAIN.TABLE]: "others", [CHAIN.NAME]: "theirs" }),
      ],
    };
  };
  const requests = new FakePort(kernel);
  const openChannel = () => {
    const port = new FakePort(() => ({ replies: [] }));
    listeners.push(port);
    return new NetlinkChannel(port);
  };
  const nft = new NetlinkNft({ channel: new NetlinkChannel(requests), openChannel, breathe });
  const observed = await nft.list(OURS);
  deepStrictEqual([...observed?.chains.keys() ?? []], ["services"]);
  const dumps = requests.sent.flat().filter(({ type }) => type === MSG.GETCHAIN);
  strictEqual(dumps.length, 1, "read once");
});

Deno.test("transact() calls a transaction refused that is larger than the kernel takes", async () => {
  const port = new FakePort(() => ({ replies: [] }));
  port.send = () => {
    throw new NetlinkError("send to the kernel", { errno: ERRNO.EMSGSIZE });
  };
  const channel = new NetlinkChannel(port);
  const nft = new NetlinkNft({ channel, openChannel: () => channel, breathe });
  await rejects(nft.transact({ table: OURS, commands: [{ op: "delete-table" }] }), isRefused);
});
