import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { Flow } from "../../model/conntrack.ts";
import { parseIp } from "../../model/ip.ts";
import { Attributes } from "../netlink/attributes.ts";
import { NetlinkChannel } from "../netlink/channel.ts";
import { NLM_F_DUMP } from "../netlink/constants.ts";
import { type FakeKernel, FakePort, type FakeReply } from "../netlink/fake.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { deleteRequest } from "./codec.ts";
import { conntrackOver, type FlowFilter } from "./conntrack.ts";

function flow({ family, protocol }: FlowFilter, client: string): Flow {
  const isIpv4 = family === "IPv4";
  const tuple = {
    source: parseIp(client),
    destination: parseIp(isIpv4 ? "10.96.0.10" : "fd00::10"),
    sourcePort: 40000,
    destinationPort: 53,
  };
  const pod = parseIp(isIpv4 ? "10.0.0.5" : "fd00::5");
  const reply = {
    source: pod,
    destination: tuple.source,
    sourcePort: 5353,
    destinationPort: 40000,
  };
  return { family, protocol, original: tuple, reply };
}

const FLOWS: readonly Flow[] = [
  flow({ family: "IPv4", protocol: "UDP" }, "10.0.0.1"),
  flow({ family: "IPv4", protocol: "TCP" }, "10.0.0.2"),
  flow({ family: "IPv6", protocol: "UDP" }, "fd00::1"),
];

/** A flow as the kernel lists it: the original tuple is written as for a delete. */
function entry(flow: Flow): FakeReply {
  const original = deleteRequest(flow).body;
  const reply = deleteRequest({ ...flow, original: flow.reply }).body;
  return {
    type: 0x100,
    body(writer) {
      original(writer);
      const mark = writer.length;
      reply(writer);
      retype(writer, mark);
    },
  };
}

/** Turns the tuple at the mark, behind a struct nfgenmsg, into a reply tuple without one. */
function retype(writer: MessageWriter, mark: number): void {
  const tuple = writer.written().slice(mark + 4);
  tuple[2] = 2;
  writer.truncate(mark);
  writer.raw(tuple);
}

function table(flows: readonly Flow[], refuse: "nothing" | "filters"): FakeKernel {
  return ({ flags, payload }) => {
    if ((flags & NLM_F_DUMP) !== NLM_F_DUMP) return { replies: [] };
    const hasFilter = new Attributes(payload.subarray(4)).has(25);
    if (hasFilter && refuse === "filters") return { errno: 95 };
    return { replies: flows.map(entry) };
  };
}

for (const refuse of ["nothing", "filters"] as const) {
  Deno.test(`list() returns the flows asked for from a kernel that refuses ${refuse}`, () => {
    const port = new FakePort(table(FLOWS, refuse));
    using conntrack = conntrackOver(new NetlinkChannel(port));
    deepStrictEqual(conntrack.list({ family: "IPv4", protocol: "UDP" }), [FLOWS[0]]);
    deepStrictEqual(conntrack.list({ family: "IPv6", protocol: "UDP" }), [FLOWS[2]]);
    deepStrictEqual(conntrack.list({ family: "IPv4", protocol: "SCTP" }), []);
  });
}

Deno.test("list() says which module is missing when the kernel shows no flows", () => {
  using conntrack = conntrackOver(new NetlinkChannel(new FakePort(() => ({ errno: 22 }))));
  throws(
    () => conntrack.list({ family: "IPv4", protocol: "UDP" }),
    /modprobe nf_conntrack_netlink/,
  );
});

Deno.test("list() leaves out flows of protocols without ports", () => {
  const icmp: FakeReply = {
    type: 0x100,
    body(writer) {
      writer.raw(Uint8Array.of(2, 0, 0, 0));
      const tuple = writer.open(1);
      const proto = writer.open(2);
      writer.u8(1, 1);
      writer.close(proto);
      writer.close(tuple);
    },
  };
  using conntrack = conntrackOver(new NetlinkChannel(new FakePort(() => ({ replies: [icmp] }))));
  deepStrictEqual(conntrack.list({ family: "IPv4", protocol: "UDP" }), []);
});

Deno.test("delete() sends all flows at once and is content with those that are gone", () => {
  const port = new FakePort(() => ({ errno: 2 }));
  using conntrack = conntrackOver(new NetlinkChannel(port));
  conntrack.delete(FLOWS);
  strictEqual(port.sent.length, 1);
  deepStrictEqual(port.sent[0]?.map(({ payload }) => payload[0]), [2, 2, 10]);
});

Deno.test("delete() of nothing sends nothing", () => {
  const port = new FakePort(() => ({ errno: 1 }));
  conntrackOver(new NetlinkChannel(port)).delete([]);
  strictEqual(port.sent.length, 0);
});

Deno.test("delete() says which flow the kernel would not delete", () => {
  using conntrack = conntrackOver(new NetlinkChannel(new FakePort(() => ({ errno: 1 }))));
  throws(() => conntrack.delete(FLOWS), (error) => {
    return error instanceof AggregateError && error.errors.length === 3 &&
      error.message.includes("delete UDP flow 10.0.0.1 40000 -> 10.96.0.10 53");
  });
});
