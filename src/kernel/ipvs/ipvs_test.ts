import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { Attributes } from "../netlink/attributes.ts";
import { NetlinkChannel } from "../netlink/channel.ts";
import { type FakeKernel, FakePort } from "../netlink/fake.ts";
import { MessageWriter } from "../netlink/writer.ts";
import { decodeRealServer, decodeTimeouts, decodeVirtualServer } from "./codec.ts";
import { writeAddress, writeRealServer, writeTimeouts, writeVirtualServer } from "./codec.ts";
import { CONTRACT_SERVERS, IPVS_CONTRACT } from "./contract.ts";
import { FakeIpvs } from "./fake.ts";
import { ipvsOver } from "./ipvs.ts";
import type { RealServer } from "./values.ts";
import { parseIp } from "../../model/ip.ts";

for (const { title, check } of IPVS_CONTRACT) {
  Deno.test(`FakeIpvs: ${title}`, () => check(new FakeIpvs()));
}

function encoded(write: (writer: MessageWriter) => void): Attributes {
  const writer = new MessageWriter();
  write(writer);
  return new Attributes(writer.written());
}

for (const server of CONTRACT_SERVERS) {
  Deno.test(`decodeVirtualServer() reads back ${server.address.ip} ${server.scheduler}`, () => {
    deepStrictEqual(decodeVirtualServer(encoded((w) => writeVirtualServer(w, server))), server);
  });
}

for (const bits of [0, 1, 8, 24, 31, 32]) {
  Deno.test(`decodeVirtualServer() reads back a client prefix of ${bits} bits`, () => {
    const [server] = CONTRACT_SERVERS;
    const wanted = server && { ...server, clientPrefixLength: bits };
    if (wanted === undefined) throw new TypeError("no server");
    deepStrictEqual(decodeVirtualServer(encoded((w) => writeVirtualServer(w, wanted))), wanted);
  });
}

Deno.test("decodeVirtualServer() leaves out a virtual server by firewall mark", () => {
  const message = encoded((w) => {
    const service = w.open(1);
    w.u16(1, 2);
    w.u32(5, 77);
    w.close(service);
  });
  strictEqual(decodeVirtualServer(message), undefined);
});

const SERVER = { ip: parseIp("fd00:96::1"), protocol: "TCP", port: 80 } as const;

for (const forwarding of ["masquerade", "local", "tunnel", "direct", "bypass"] as const) {
  Deno.test(`decodeRealServer() reads back ${forwarding}`, () => {
    const realServer: RealServer = { ip: parseIp("fd00::5"), port: 8080, forwarding, weight: 3 };
    deepStrictEqual(decodeRealServer(encoded((w) => writeRealServer(w, realServer)), SERVER), {
      ...realServer,
      activeConnections: 0,
      inactiveConnections: 0,
    });
  });
}

Deno.test("decodeTimeouts() reads back what was written", () => {
  const timeouts = { tcpSeconds: 1, tcpFinSeconds: 2, udpSeconds: 3 };
  deepStrictEqual(decodeTimeouts(encoded((w) => writeTimeouts(w, timeouts))), timeouts);
});

Deno.test("the decoders refuse messages that lack what they need", () => {
  throws(() => decodeVirtualServer(encoded(() => {})), SyntaxError);
  throws(() => decodeVirtualServer(encoded((w) => writeAddress(w, SERVER))), SyntaxError);
  throws(() => decodeRealServer(encoded(() => {}), SERVER), SyntaxError);
  throws(() => decodeTimeouts(encoded(() => {})), SyntaxError);
});

const FAMILY = 25;

/** Knows the family IPVS; says the rest by the command. */
function kernel(commands: Record<number, FakeKernel>): FakeKernel {
  return (request) => {
    if (request.type === 16) {
      return { replies: [{ type: 16, body: (w) => (w.raw(new Uint8Array(4)), w.u16(1, FAMILY)) }] };
    }
    return commands[request.payload[0] ?? 0]?.(request) ?? { errno: 22 };
  };
}

Deno.test("ipvsOver() sends changes under the number of the family, all at once", () => {
  const port = new FakePort(kernel({ 1: () => ({ replies: [] }), 5: () => ({ errno: 17 }) }));
  using ipvs = ipvsOver(new NetlinkChannel(port));
  const realServer: RealServer = {
    ip: parseIp("fd00::5"),
    port: 8080,
    forwarding: "masquerade",
    weight: 1,
  };
  const [server] = CONTRACT_SERVERS;
  if (server === undefined) throw new TypeError("no server");
  const { failures, complete } = ipvs.apply([
    { kind: "add-virtual-server", server },
    { kind: "add-real-server", address: SERVER, realServer },
  ]);
  deepStrictEqual(port.sent.map((sent) => sent.map(({ type }) => type)), [[16], [FAMILY, FAMILY]]);
  deepStrictEqual(failures.map(({ error }) => error.message), [
    "Cannot add real server [fd00::5]:8080 of [fd00:96::1]:80/TCP: file already exists (EEXIST)",
  ]);
  strictEqual(complete, failures.length === 1);
});

Deno.test("ipvsOver() refuses a kernel without the family", () => {
  throws(() => ipvsOver(new NetlinkChannel(new FakePort(() => ({ errno: 2 })))), {
    code: "ENOENT",
  });
});
