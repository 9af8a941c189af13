/**
 * What all {@linkcode Links} do: the table that the fake answers in a unit test and the kernel in
 * user-mode-linux.
 *
 * @module
 */

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { parseIp } from "../../model/ip.ts";
import { isExisting, isNotFound } from "../netlink/errors.ts";
import type { Links } from "./link.ts";

/** One behaviour. There is no device of the name {@linkcode DEVICE} before each. */
export interface ContractCase {
  readonly title: string;
  readonly check: (links: Links) => void;
}

/** The device the cases use. */
export const DEVICE = "vipd-probe0";

const [A, B] = [parseIp("10.96.0.1"), parseIp("10.96.0.2")];
const [C, D] = [parseIp("fd00:96::1"), parseIp("fd00:96::2")];

/** The table. */
export const LINK_CONTRACT: readonly ContractCase[] = [
  {
    title: "a dummy device is made, found and removed",
    check(links) {
      strictEqual(links.find(DEVICE), undefined);
      const link = links.createDummy(DEVICE);
      deepStrictEqual([link.name, link.kind], [DEVICE, "dummy"]);
      deepStrictEqual(links.find(DEVICE), link);
      throws(() => links.createDummy(DEVICE), (error) => isExisting(error));
      links.remove(link);
      strictEqual(links.find(DEVICE), undefined);
      throws(() => links.remove(link), (error) => isNotFound(error));
    },
  },
  {
    title: "addresses of both families come and go, also those that are there or gone already",
    check(links) {
      const link = links.createDummy(DEVICE);
      const added = links.changeAddresses(link, { add: [A, B, C, D], remove: [] });
      deepStrictEqual([added.failures, added.complete], [[], true]);
      deepStrictEqual([...links.listAddresses(link, "IPv4")].sort(), [A, B]);
      deepStrictEqual([...links.listAddresses(link, "IPv6")].sort(), [C, D]);
      const changes = { add: [A, A], remove: [B, D, B, parseIp("10.9.9.9"), parseIp("fd00::9")] };
      deepStrictEqual(links.changeAddresses(link, changes).failures, []);
      deepStrictEqual(links.listAddresses(link, "IPv4"), [A]);
      deepStrictEqual(links.listAddresses(link, "IPv6"), [C]);
    },
  },
  {
    title: "a device that is gone refuses every address by name",
    check(links) {
      const link = links.createDummy(DEVICE);
      links.remove(link);
      const { failures } = links.changeAddresses(link, { add: [A], remove: [] });
      deepStrictEqual(failures.map(({ ip, error }) => [ip, error.code]), [[A, "ENODEV"]]);
    },
  },
  {
    title: "a thousand addresses are changed at once",
    check(links) {
      const link = links.createDummy(DEVICE);
      const many = Array.from({ length: 1000 }, (_, i) => parseIp(`10.97.${i >> 8}.${i & 255}`));
      const { failures, complete } = links.changeAddresses(link, { add: many, remove: [] });
      deepStrictEqual([failures, complete], [[], true]);
      const listed = new Set(links.listAddresses(link, "IPv4"));
      ok(listed.size === 1000 && many.every((ip) => listed.has(ip)));
      links.changeAddresses(link, { add: [], remove: many.slice(1) });
      deepStrictEqual(links.listAddresses(link, "IPv4"), many.slice(0, 1));
    },
  },
];
