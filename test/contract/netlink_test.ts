/**
 * Netlink conversations with the real kernel. Needs root and libnl.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Attributes } from "../../src/kernel/netlink/attributes.ts";
import type { NetlinkRequest } from "../../src/kernel/netlink/channel.ts";
import {
  NETLINK_GENERIC,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from "../../src/kernel/netlink/constants.ts";
import { isNotFound, NetlinkError } from "../../src/kernel/netlink/errors.ts";
import { resolveFamily } from "../../src/kernel/netlink/genetlink.ts";
import {
  nfnetlinkTransaction,
  nfnetlinkType,
  NFPROTO_INET,
  writeNfgen,
} from "../../src/kernel/netlink/nfnetlink.ts";
import { openNetlink } from "../../src/kernel/netlink/socket.ts";
import { ended } from "../support/process.ts";
import { inNamespace } from "./inside.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;

function linkRequest(type: number, name: string): NetlinkRequest {
  return {
    operation: `find link ${name}`,
    type,
    body(writer) {
      writer.raw(new Uint8Array(16));
      writer.string(IFLA_IFNAME, name);
    },
  };
}

const NFTABLES = { subsystem: 10, operation: "change nf_tables" };

function newTable(name: string): NetlinkRequest {
  return {
    operation: `add table ${name}`,
    type: nfnetlinkType(10, 0),
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body(writer) {
      writeNfgen(writer, NFPROTO_INET);
      writer.string(1, name);
    },
  };
}

async function tables(): Promise<string[]> {
  const { stdout } = await ended(["nft", "list", "tables"]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => line.split(" ")[2] ?? "");
}

inNamespace(import.meta.url, () => {
  defineRequestTests();
  defineDumpTests();
  defineNetfilterTests();
});

function defineRequestTests(): void {
  Deno.test("a generic netlink family is found by name, an unknown one is not", () => {
    using channel = openNetlink(NETLINK_GENERIC);
    strictEqual(resolveFamily(channel, "nlctrl"), 16);
    throws(() => resolveFamily(channel, "vipd"), (error) => isNotFound(error));
  });

  Deno.test("query() returns the link asked for", () => {
    using channel = openNetlink(NETLINK_ROUTE);
    const reply = channel.query(linkRequest(RTM_GETLINK, "lo"));
    strictEqual(new Attributes(reply?.payload.subarray(16) ?? new Uint8Array()).string(3), "lo");
  });

  Deno.test("an error carries the kernel's words", () => {
    using channel = openNetlink(NETLINK_ROUTE);
    const request: NetlinkRequest = {
      operation: "add link x",
      type: RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      body(writer) {
        writer.raw(new Uint8Array(16));
        const mark = writer.open(IFLA_LINKINFO);
        writer.string(1, "no-such-kind");
        writer.close(mark);
      },
    };
    throws(() => channel.query(request), {
      code: "EOPNOTSUPP",
      message: "Cannot add link x: Unknown device type (EOPNOTSUPP)",
    });
  });

  Deno.test("execute() reports every one of 5,000 refused requests by its place", () => {
    using channel = openNetlink(NETLINK_ROUTE);
    const requests = Array.from({ length: 5000 }, (_, i) => {
      return linkRequest(RTM_GETLINK, i % 1000 === 0 ? "lo" : `no${i}`);
    });
    const { failures, replies, complete } = channel.execute(requests);
    ok(complete);
    strictEqual(failures.length, 4995);
    strictEqual(replies.length, 5);
    deepStrictEqual(failures.slice(0, 2).map(({ index, error }) => [index, error.operation]), [
      [1, "find link no1"],
      [2, "find link no2"],
    ]);
  });
}

function defineDumpTests(): void {
  Deno.test("dump() returns all of 3,000 addresses, over many datagrams", async () => {
    const lines = Array.from(
      { length: 3000 },
      (_, i) => `addr add 10.1.${i >> 8}.${i & 255}/32 dev lo`,
    );
    const { code, stderr } = await ended(["ip", "-batch", "-"], { stdin: lines.join("\n") });
    strictEqual(code, 0, stderr);
    using channel = openNetlink(NETLINK_ROUTE);
    const messages = channel.dump({
      operation: "list addresses",
      type: RTM_GETADDR,
      body: (writer) => writer.raw(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0)),
    });
    const seen = new Set(messages.map(({ payload }) => {
      return new Attributes(payload.subarray(8)).bytes(2)?.join(".");
    }));
    ok(seen.has("10.1.0.0") && seen.has("10.1.11.183"));
    strictEqual(seen.size, 3001);
  });
}

function defineNetfilterTests(): void {
  Deno.test("transact() commits an nf_tables batch, or nothing of it", async () => {
    using channel = openNetlink(NETLINK_NETFILTER);
    const good = channel.transact(nfnetlinkTransaction([newTable("a"), newTable("b")], NFTABLES));
    deepStrictEqual([good.failures, good.complete], [[], true]);
    const bad = channel.transact(nfnetlinkTransaction([newTable("c"), newTable("a")], NFTABLES));
    deepStrictEqual(bad.failures.map(({ index, error }) => [index, error.code]), [[2, "EEXIST"]]);
    ok(bad.complete);
    deepStrictEqual(await tables(), ["a", "b"]);
  });

  Deno.test("transact() carries a batch of a megabyte and more", async () => {
    using channel = openNetlink(NETLINK_NETFILTER);
    const requests = Array.from({ length: 1000 }, (_, i) => newTable(`big${i}`));
    const padded = requests.map((request) => ({
      ...request,
      body(writer: Parameters<NetlinkRequest["body"]>[0]) {
        request.body(writer);
        writer.bytes(6, new Uint8Array(200)); // NFTA_TABLE_USERDATA
        writer.bytes(6, new Uint8Array(200));
        for (let i = 0; i < 5; i++) writer.bytes(6, new Uint8Array(200));
      },
    }));
    const result = channel.transact(nfnetlinkTransaction(padded, NFTABLES));
    deepStrictEqual([result.failures, result.complete], [[], true]);
    ok(result.bytesSent > 1024 * 1024);
    strictEqual((await tables()).filter((name) => name.startsWith("big")).length, 1000);
  });

  Deno.test("notifications() tells of changes by others and ends at once on abort", async () => {
    using channel = openNetlink(NETLINK_NETFILTER);
    channel.join([7]); // NFNLGRP_NFTABLES
    const abort = new AbortController();
    const types: number[] = [];
    const reading = (async () => {
      for await (const batch of channel.notifications(abort.signal)) {
        for (const one of batch) if (one.kind === "message") types.push(one.message.type);
        if (types.includes(nfnetlinkType(10, 0))) abort.abort();
      }
    })();
    await ended(["nft", "add", "table", "inet", "news"]);
    await reading;
    ok(types.includes(nfnetlinkType(10, 0)));
  });

  Deno.test("a protocol that the kernel lacks is named", () => {
    throws(() => openNetlink(31), (error) => {
      return error instanceof NetlinkError && error.code === "EPROTONOSUPPORT";
    });
  });
}
