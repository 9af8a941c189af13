import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Attributes } from "./attributes.ts";
import { NetlinkChannel, type NetlinkRequest, type Notification } from "./channel.ts";
import { NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_MULTI, NLMSG_DONE } from "./constants.ts";
import { isExisting, isNotFound, NetlinkError } from "./errors.ts";
import { datagramOf, type FakeKernel, FakePort, type FakeReply } from "./fake.ts";
import { nfnetlinkTransaction } from "./nfnetlink.ts";
import type { NetlinkMessage } from "./message.ts";
import type { Received } from "./port.ts";

const TYPE = 32;

function request(name: string, flags = 0): NetlinkRequest {
  return { operation: `add ${name}`, type: TYPE, flags, body: (w) => w.string(1, name) };
}

function reply(name: string, flags = 0): FakeReply {
  return { type: TYPE, flags, body: (w) => w.string(1, name) };
}

function nameOf(message: NetlinkMessage | undefined): string | undefined {
  return message && new Attributes(message.payload).string(1);
}

function open(kernel: FakeKernel): { channel: NetlinkChannel; port: FakePort } {
  const port = new FakePort(kernel);
  return { channel: new NetlinkChannel(port), port };
}

const AGREE: FakeKernel = () => ({ replies: [] });

Deno.test("execute() sends many requests at once and asks to acknowledge only the last", () => {
  const { channel, port } = open(AGREE);
  const result = channel.execute([request("a"), request("b"), request("c")]);
  deepStrictEqual([result.failures, result.complete, result.bytesSent], [[], true, 72]);
  strictEqual(port.sent.length, 1);
  deepStrictEqual(port.sent[0]?.map(({ flags }) => flags & NLM_F_ACK), [0, 0, NLM_F_ACK]);
  deepStrictEqual(port.sent[0]?.map(({ sequence }) => sequence), [1, 2, 3]);
});

Deno.test("execute() splits what one send should not carry and goes on counting", () => {
  const { channel, port } = open((r) => nameOf(r) === "2345" ? { errno: 17 } : { replies: [] });
  const requests = Array.from({ length: 2500 }, (_, i) => request(String(i)));
  const { failures, complete } = channel.execute(requests);
  deepStrictEqual(port.sent.map((sent) => sent.length), [1000, 1000, 500]);
  deepStrictEqual(failures.map(({ index }) => index), [2345]);
  ok(complete);
});

Deno.test("execute() names each request that failed and goes on after it", () => {
  const { channel } = open((r) => {
    if (nameOf(r) === "b") return { errno: 17 };
    return nameOf(r) === "d" ? { errno: 2, text: "No such thing", offset: 20 } : { replies: [] };
  });
  const { failures, complete } = channel.execute(["a", "b", "c", "d"].map((n) => request(n)));
  deepStrictEqual(failures.map(({ index, error }) => [index, error.message]), [
    [1, "Cannot add b: file already exists (EEXIST)"],
    [3, "Cannot add d: No such thing (ENOENT at byte 20)"],
  ]);
  ok(complete && isExisting(failures[0]?.error) && isNotFound(failures[1]?.error));
});

Deno.test("execute() of nothing sends nothing", () => {
  const { channel, port } = open(AGREE);
  deepStrictEqual(channel.execute([]), {
    failures: [],
    replies: [],
    complete: true,
    bytesSent: 0,
  });
  strictEqual(port.sent.length, 0);
});

/** Something that happens to the answers before they are received. */
function tampered(
  kernel: FakeKernel,
  tamper: (queue: Received[]) => void,
): { channel: NetlinkChannel; port: FakePort } {
  const port = new FakePort(kernel);
  const send = port.send.bind(port);
  port.send = (datagram) => {
    send(datagram);
    tamper(port.queue);
  };
  return { channel: new NetlinkChannel(port), port };
}

Deno.test("execute() does not block for a last acknowledgement lost to ENOBUFS", () => {
  const { channel } = tampered(
    (r) => nameOf(r) === "a" ? { errno: 17 } : { replies: [] },
    (queue) => queue.splice(-1, 1, { kind: "overrun" }),
  );
  const { failures, complete } = channel.execute([request("a"), request("b")]);
  deepStrictEqual([failures.length, complete], [1, false]);
});

Deno.test("query() returns the reply, undefined for a bare acknowledgement", () => {
  const { channel } = open((r) => ({ replies: nameOf(r) === "a" ? [reply("A")] : [] }));
  strictEqual(nameOf(channel.query(request("a"))), "A");
  strictEqual(channel.query(request("b")), undefined);
});

Deno.test("query() throws what the kernel said, or that its answer was lost", () => {
  throws(() => open(() => ({ errno: 3 })).channel.query(request("a")), { code: "ESRCH" });
  const { channel } = tampered(AGREE, (queue) => queue.splice(0));
  throws(() => channel.query(request("a")), {
    code: "ENOBUFS",
    message: "Cannot add a: the answer of the kernel was lost (ENOBUFS)",
  });
});

Deno.test("an unknown errno is told by its number, EOPNOTSUPP by its Linux name", () => {
  strictEqual(new NetlinkError("x", { errno: 524 }).code, "errno 524");
  strictEqual(new NetlinkError("x", { errno: 95 }).code, "EOPNOTSUPP");
});

Deno.test("dump() returns every entry, over many datagrams", () => {
  const names = Array.from({ length: 500 }, (_, i) => `entry ${i}`);
  const { channel } = open(() => ({ replies: names.map((name) => reply(name)) }));
  deepStrictEqual(channel.dump(request("all")).map(nameOf), names);
});

/** A kernel whose first answers are made worse. */
function flaky(times: number, spoil: (queue: Received[]) => void): ReturnType<typeof tampered> {
  let left = times;
  const kernel: FakeKernel = () => ({ replies: [reply("a"), reply("b")] });
  return tampered(kernel, (queue) => {
    if (left-- > 0) spoil(queue);
  });
}

const SPOILS: readonly [string, (queue: Received[]) => void][] = [
  ["interrupted", (queue) => {
    queue.splice(1, 1, datagramOf(reply("b", NLM_F_MULTI | NLM_F_DUMP_INTR), 1));
  }],
  ["overrun", (queue) => queue.splice(1, 1, { kind: "overrun" })],
  ["truncated", (queue) => queue.splice(0, 1, { kind: "truncated" })],
  ["cut short", (queue) => queue.splice(2)],
];
for (const [what, spoil] of SPOILS) {
  Deno.test(`dump() is repeated when it was ${what}`, () => {
    const { channel, port } = flaky(1, spoil);
    deepStrictEqual(channel.dump(request("all")).map(nameOf), ["a", "b"]);
    strictEqual(port.sent.length, 2);
  });
}

Deno.test("dump() gives up with EINTR when the table never stands still", () => {
  const { channel } = open(() => ({ replies: [reply("a", NLM_F_DUMP_INTR)] }));
  throws(() => channel.dump(request("all")), { code: "EINTR" });
});

Deno.test("dump() throws the error it ended with", () => {
  const { channel } = tampered(() => ({ replies: [reply("a")] }), (queue) => {
    const body: FakeReply["body"] = (w) => w.raw(Uint8Array.of(240, 255, 255, 255));
    queue.splice(1, 1, datagramOf({ type: NLMSG_DONE, flags: NLM_F_MULTI, body }, 1));
  });
  throws(() => channel.dump(request("all")), { code: "EBUSY" });
});

Deno.test("a malformed answer is an error, and nothing of it is left for the next conversation", () => {
  let spoiled = false;
  const { channel, port } = tampered(() => ({ replies: [reply("a"), reply("b")] }), (queue) => {
    if (!spoiled) queue.unshift({ kind: "datagram", bytes: new Uint8Array(7) });
    spoiled = true;
  });
  throws(() => channel.dump(request("all")), { name: "NetlinkError", code: "EPROTO" });
  strictEqual(port.queue.length, 0);
  deepStrictEqual(channel.dump(request("all")).map(nameOf), ["a", "b"]);
});

Deno.test("answers to an earlier conversation are ignored", () => {
  const { channel, port } = open((r) => ({ replies: [reply(`${nameOf(r)}!`)] }));
  channel.query(request("first"));
  port.queue.push(datagramOf(reply("stale"), 1));
  strictEqual(nameOf(channel.query(request("second"))), "second!");
});

Deno.test("a send that fails is told with the operation", () => {
  const { channel, port } = open(AGREE);
  port.send = () => {
    throw new NetlinkError("send to the kernel", { errno: 90 });
  };
  throws(() => channel.execute([request("a")]), { code: "EMSGSIZE", operation: "add a" });
});

const NFTABLES = { subsystem: 10, operation: "change nf_tables" };

Deno.test("transact() sends one datagram and is complete with the acknowledgement asked for", () => {
  const { channel, port } = open(AGREE);
  const batch = nfnetlinkTransaction([request("a"), request("b")], NFTABLES);
  ok(channel.transact(batch).complete);
  deepStrictEqual(port.sent[0]?.map(({ type }) => type), [16, TYPE, TYPE, 17]);
  deepStrictEqual([...port.sent[0]?.[0]?.payload ?? []], [0, 0, 0, 10]);
});

Deno.test("transact() tells what was wrong, also when the whole was refused at its head", () => {
  const batch = nfnetlinkTransaction([request("a"), request("b")], NFTABLES);
  const one = open((r) => r.type === TYPE && nameOf(r) === "b" ? { errno: 2 } : { replies: [] });
  deepStrictEqual(one.channel.transact(batch).failures.map(({ index }) => index), [2]);
  const head = tampered((r) => r.type === 16 ? { errno: 1 } : { replies: [] }, (queue) => {
    queue.splice(1);
  });
  const { failures, complete } = head.channel.transact(batch);
  deepStrictEqual([failures.map(({ error }) => error.code), complete], [["EPERM"], true]);
});

Deno.test("notifications() yields what arrives, says what was lost, ends on abort", async () => {
  const { channel, port } = open(AGREE);
  channel.join([2, 3]);
  deepStrictEqual(port.groups, [2, 3]);
  const abort = new AbortController();
  const seen: (readonly Notification[])[] = [];
  const reading = (async () => {
    for await (const batch of channel.notifications(abort.signal)) {
      seen.push(batch);
      if (seen.length === 1) port.deliver({ kind: "overrun" });
      else if (seen.length === 2) port.deliver({ kind: "datagram", bytes: new Uint8Array(3) });
      else abort.abort();
    }
  })();
  port.deliver(datagramOf(reply("news"), 0));
  await reading;
  const kinds = seen.map((batch) => batch.map(({ kind }) => kind));
  deepStrictEqual(kinds, [["message"], ["lost"], ["lost"]]);
});
