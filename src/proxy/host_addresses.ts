/**
 * The addresses of this node, read at every sync and now and then: node ports answer on
 * them. The list stays the same object while the kernel says the same.
 *
 * @module
 */

import type { HostAddress } from "../model/objects.ts";

/** Service addresses of ipvs mode come and go on it by our own doing. */
const IPVS_INTERFACE = "kube-ipvs0";

/** Remembers the addresses as last read. */
export class HostAddresses {
  readonly #list: () => readonly HostAddress[];
  #current: readonly HostAddress[] = [];
  #text = "";

  constructor(list: () => readonly HostAddress[]) {
    this.#list = list;
  }

  /** As they are now. */
  read(): readonly HostAddress[] {
    const addresses = this.#list().filter(({ interfaceName }) => interfaceName !== IPVS_INTERFACE);
    const text = addresses.map(({ interfaceName, ip }) => `${interfaceName} ${ip}`).sort().join();
    if (text === this.#text) return this.#current;
    this.#text = text;
    return this.#current = addresses;
  }
}
