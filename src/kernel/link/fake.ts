/**
 * {@linkcode Links} in memory. contract.ts holds it and the real ones to the same behaviour.
 *
 * @module
 */

import { familyOf, type IpAddress, type IpFamily } from "../../model/ip.ts";
import { ERRNO, NetlinkError } from "../netlink/errors.ts";
import type { AddressChanges, AddressResult, Link, Links } from "./link.ts";

/** Devices in memory. */
export class FakeLinks implements Links {
  /** By name; others than dummy devices can be put in. */
  readonly links = new Map<string, Link>();
  readonly addresses = new Map<string, Set<IpAddress>>();
  /** Every change of addresses that was asked for. */
  readonly changed: AddressChanges[] = [];
  #lastIndex = 1;

  [Symbol.dispose](): void {}

  find(name: string): Link | undefined {
    return this.links.get(name);
  }

  createDummy(name: string): Link {
    if (this.links.has(name)) throw refused(`create device ${name}`, ERRNO.EEXIST);
    const link: Link = { name, index: ++this.#lastIndex, kind: "dummy" };
    this.links.set(name, link);
    return link;
  }

  remove({ name }: Link): void {
    if (!this.links.delete(name)) throw refused(`remove device ${name}`, ERRNO.ENODEV);
    this.addresses.delete(name);
  }

  listAddresses({ name }: Link, family: IpFamily): readonly IpAddress[] {
    return [...this.addresses.get(name) ?? []].filter((ip) => familyOf(ip) === family);
  }

  changeAddresses({ name }: Link, changes: AddressChanges): AddressResult {
    this.changed.push(changes);
    const { add, remove } = changes;
    if (!this.links.has(name)) {
      const failures = [
        ...remove.map((ip) => ({ ip, error: refused(`remove address ${ip}`, ERRNO.ENODEV) })),
        ...add.map((ip) => ({ ip, error: refused(`add address ${ip}`, ERRNO.ENODEV) })),
      ];
      return { failures, complete: true, bytesSent: 0 };
    }
    const addresses = this.addresses.get(name) ?? new Set();
    for (const ip of remove) addresses.delete(ip);
    for (const ip of add) addresses.add(ip);
    this.addresses.set(name, addresses);
    return { failures: [], complete: true, bytesSent: (add.length + remove.length) * 44 };
  }
}

function refused(operation: string, errno: number): NetlinkError {
  return new NetlinkError(operation, { errno });
}
