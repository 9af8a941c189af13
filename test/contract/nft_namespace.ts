/**
 * A network namespace with nothing in it, and nft inside of it.
 *
 * @module
 */

import { type Run, run } from "../../src/kernel/exec/run.ts";
import { NETLINK_NETFILTER } from "../../src/kernel/netlink/constants.ts";
import { openNetlink } from "../../src/kernel/netlink/socket.ts";
import { NetlinkNft } from "../../src/kernel/nft/netlink.ts";
import type { Nft } from "../../src/kernel/nft/nft.ts";
import { NftTool } from "../../src/kernel/nft/tool.ts";
import { type Network, openNetwork } from "../support/netns.ts";

const SYMBOLS = {
  /** int open(const char *path, int flags); */
  open: { parameters: ["buffer", "i32"], result: "i32" },
  /** int setns(int fd, int nstype); of the calling thread */
  setns: { parameters: ["i32", "i32"], result: "i32" },
  /** int close(int fd); */
  close: { parameters: ["i32"], result: "i32" },
} as const;

const CLONE_NEWNET = 0x40000000;

/** Calls with the thread in a namespace: sockets that it opens belong there for good. */
export function insideNamespace<T>(name: string, call: () => T): T {
  using library = disposable(Deno.dlopen("libc.so.6", SYMBOLS));
  const { open, setns, close } = library.value.symbols;
  const openNs = (path: string) => open(new TextEncoder().encode(`${path}\0`), 0);
  const home = openNs("/proc/thread-self/ns/net");
  const away = openNs(`/run/netns/${name}`);
  if (away < 0 || setns(away, CLONE_NEWNET) !== 0) throw new Error(`Cannot enter ${name}`);
  try {
    return call();
  } finally {
    setns(home, CLONE_NEWNET);
    close(home);
    close(away);
  }
}

function disposable<T extends { close(): void }>(value: T): { value: T } & Disposable {
  return { value, [Symbol.dispose]: () => value.close() };
}

/** A namespace for one test; it goes with `await using`. */
export interface NftNamespace extends AsyncDisposable {
  /** Full name, as of `ip netns exec`. */
  readonly name: string;
  /** Runs tools inside. */
  readonly run: Run;
  /** `nft …` inside; throws when it fails. */
  nft(...args: readonly string[]): Promise<string>;
  /** A handle by netlink that lives inside. */
  netlink(): NetlinkNft;
  /** `nft -f -` inside. */
  load(text: string): Promise<void>;
}

/** Both ways to the kernel, by the name of their class. */
export const NFT_HANDLES: readonly (readonly [string, (namespace: NftNamespace) => Nft])[] = [
  ["NftTool", ({ run }) => new NftTool({ run })],
  ["NetlinkNft", (namespace) => namespace.netlink()],
];

/** Makes the namespace. Needs root, iproute2 and nft. */
export async function openNftNamespace(): Promise<NftNamespace> {
  const network: Network = await openNetwork({ tag: "nftc", namespaces: ["node"] });
  const name = network.name("node");
  const inside: Run = (command, args, options) =>
    run("ip", ["netns", "exec", name, command, ...args], options);
  return {
    name,
    run: inside,
    nft: async (...args) => (await inside("nft", args)).stdout,
    netlink: () => {
      const openChannel = () => insideNamespace(name, () => openNetlink(NETLINK_NETFILTER));
      const breathe = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
      return new NetlinkNft({ channel: openChannel(), openChannel, breathe });
    },
    load: async (text) => {
      await inside("nft", ["-f", "-"], { stdin: text });
    },
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}
