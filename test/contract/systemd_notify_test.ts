/**
 * sd_notify datagrams received by a real Unix socket. Needs: --allow-ffi, and for the receiving
 * end --unstable-net with read and write access to the temporary directory.
 *
 * @module
 */

import assert from "node:assert/strict";
import { openServiceManager } from "../../src/kernel/systemd/notify.ts";

Deno.test("notify() sends all lines in one datagram to the socket", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/notify`;
  const receiver = Deno.listenDatagram({ transport: "unixpacket", path });
  try {
    openServiceManager({ socket: path, watchdogMicroseconds: undefined })
      .notify("READY=1", "STATUS=12 services");
    const [bytes] = await receiver.receive();
    assert.equal(new TextDecoder().decode(bytes), "READY=1\nSTATUS=12 services");
  } finally {
    receiver.close();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("notify() names a socket that nobody listens to", () => {
  const manager = openServiceManager({
    socket: "/nonexistent/notify",
    watchdogMicroseconds: undefined,
  });
  assert.throws(() => manager.notify("READY=1"), /Cannot notify \/nonexistent\/notify: ENOENT/);
});
