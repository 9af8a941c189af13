import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Attributes } from "../netlink/attributes.ts";
import { NetlinkChannel } from "../netlink/channel.ts";
import { NLM_F_DUMP } from "../netlink/constants.ts";
import { isUnsupported } from "../netlink/errors.ts";
import { type FakeKernel, FakePort } from "../netlink/fake.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { nfacctOver } from "./nfacct.ts";

/** The kernel's counters: NEW of an existing one is EEXIST, GET of a missing one ENOENT. */
function counters(names: Set<string>): FakeKernel {
  return ({ type, flags, payload }) => {
    if (type === 0x701 && (flags & NLM_F_DUMP) === NLM_F_DUMP) return { replies: [] };
    const name = new Attributes(payload.subarray(4)).string(1) ?? "";
    if (type === 0x700) {
      if (names.has(name)) return { errno: 17 };
      names.add(name);
      return { replies: [] };
    }
    if (!names.has(name)) return { errno: 2 };
    const body = (writer: MessageWriter): void => writeCounter(writer, name);
    return { replies: [{ type: 0x700, body }] };
  };
}

function writeCounter(
  writer: MessageWriter,
  name: string,
): void {
  writer.raw(Uint8Array.of(0, 0, 0, 0));
  writer.string(1, name);
  writer.be64(2, 3n);
  writer.be64(3, 2n ** 33n);
}

Deno.test("ensure() makes a counter once and is content with one that exists", () => {
  const names = new Set<string>();
  using nfacct = nfacctOver(new NetlinkChannel(new FakePort(counters(names))));
  nfacct.ensure("ct_state_invalid_dropped_pkts");
  nfacct.ensure("ct_state_invalid_dropped_pkts");
  deepStrictEqual([...names], ["ct_state_invalid_dropped_pkts"]);
});

Deno.test("read() returns what was counted, undefined for an unknown counter", () => {
  using nfacct = nfacctOver(new NetlinkChannel(new FakePort(counters(new Set(["a"])))));
  deepStrictEqual(nfacct.read("a"), { packets: 3n, bytes: 2n ** 33n });
  strictEqual(nfacct.read("b"), undefined);
});

Deno.test("nfacctOver() says what is missing when the kernel has no nfacct", () => {
  const channel = new NetlinkChannel(new FakePort(() => ({ errno: 22 })));
  throws(() => nfacctOver(channel), (error) => {
    return isUnsupported(error) && error.message.includes("modprobe nfnetlink_acct");
  });
});

Deno.test("ensure() throws what the kernel refuses", () => {
  const kernel: FakeKernel = (request) => request.type === 0x700 ? { errno: 1 } : { replies: [] };
  using nfacct = nfacctOver(new NetlinkChannel(new FakePort(kernel)));
  throws(() => nfacct.ensure("a"), { code: "EPERM", operation: "create nfacct counter a" });
});
