/**
 * Named counters of the real kernel, beside the nfacct match of iptables. Needs root, iptables.
 *
 * @module
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { openNfacct } from "../../src/kernel/nfacct/nfacct.ts";
import { ended } from "../support/process.ts";
import { inNamespace } from "./inside.ts";

inNamespace(import.meta.url, () => {
  Deno.test("a counter that was made counts what a rule sees", async () => {
    using nfacct = openNfacct();
    strictEqual(nfacct.read("vipd_probe"), undefined);
    nfacct.ensure("vipd_probe");
    nfacct.ensure("vipd_probe");
    deepStrictEqual(nfacct.read("vipd_probe"), { packets: 0n, bytes: 0n });
    const rule = "-A OUTPUT -p udp -m nfacct --nfacct-name vipd_probe";
    const { code, stderr } = await ended(["iptables", ...rule.split(" ")]);
    strictEqual(code, 0, stderr);
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    await socket.send(new Uint8Array(72), { transport: "udp", hostname: "127.0.0.1", port: 9 });
    socket.close();
    const seen = nfacct.read("vipd_probe"); // 72 bytes, 8 of UDP, 20 of IP
    deepStrictEqual(seen, { packets: 1n, bytes: 100n });
  });
});
