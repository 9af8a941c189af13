/**
 * A network namespace with nothing in it, and nft inside of it.
 *
 * @module
 */

import { type Run, run } from "../../src/kernel/exec/run.ts";
import { type Network, openNetwork } from "../support/netns.ts";

/** A namespace for one test; it goes with `await using`. */
export interface NftNamespace extends AsyncDisposable {
  /** Full name, as of `ip netns exec`. */
  readonly name: string;
  /** Runs tools inside. */
  readonly run: Run;
  /** `nft …` inside; throws when it fails. */
  nft(...args: readonly string[]): Promise<string>;
  /** `nft -f -` inside. */
  load(text: string): Promise<void>;
}

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
    load: async (text) => {
      await inside("nft", ["-f", "-"], { stdin: text });
    },
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}
