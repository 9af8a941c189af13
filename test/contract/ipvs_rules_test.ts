/**
 * The rules of ipvs mode in both variants of iptables: what is written is what is read back, so
 * that a restart writes nothing. Needs root, iptables, ipset. Rules with `-m ipvs` are left to
 * user-mode-linux.
 *
 * @module
 */

import { deepStrictEqual, ok } from "node:assert/strict";
import { diffObservedRules } from "../../src/backend/ipvs/rules.ts";
import { SET_NAMES, setHeader } from "../../src/backend/ipvs/sets.ts";
import { filterChains } from "../../src/backend/ipvs/filter_rules.ts";
import { natChains } from "../../src/backend/ipvs/nat_rules.ts";
import type { RuleFacts } from "../../src/backend/ipvs/set_rules.ts";
import type { RuleWish } from "../../src/backend/ipvs/wish.ts";
import { ipsetTool } from "../../src/kernel/ipset/ipset.ts";
import { formatCreate } from "../../src/kernel/ipset/values.ts";
import { openIptables } from "../../src/kernel/iptables/iptables.ts";
import { formatRestore } from "../../src/kernel/iptables/restore.ts";
import { parseCidr } from "../../src/model/ip.ts";
import type { LocalTraffic } from "../../src/model/plan.ts";
import { legacyIptablesPath } from "../support/tools.ts";
import { inNamespace } from "./inside.ts";

const LOCAL: readonly LocalTraffic[] = [
  { kind: "none" },
  { kind: "source", cidr: parseCidr("10.0.0.0/8") },
  { kind: "bridge", interfaceName: "cbr0" },
  { kind: "prefix", interfacePrefix: "veth" },
];

/** The rules when every set is in use. */
function everything(family: "IPv4" | "IPv6", localTraffic: LocalTraffic): RuleWish {
  const facts: RuleFacts = {
    family,
    masqueradeBit: 14,
    masqueradeAll: false,
    randomFully: true,
    localTraffic: localTraffic.kind === "source" && family === "IPv6"
      ? { kind: "source", cidr: parseCidr("fd00:10::/32") }
      : localTraffic,
    isUsed: () => true,
    outFilterRules: [],
  };
  return { nat: natChains(facts), filter: filterChains(facts) };
}

async function roundTrip(family: "IPv4" | "IPv6"): Promise<void> {
  const sets = SET_NAMES.map((name) => `${formatCreate(setHeader(name, family))}\n`).join("");
  await ipsetTool().restore(sets);
  const iptables = await openIptables(family);
  for (const localTraffic of LOCAL) {
    const wish = everything(family, localTraffic);
    const edits = diffObservedRules(await iptables.save(), wish);
    ok(edits.length > 0);
    await iptables.restore(formatRestore(edits).text);
    deepStrictEqual(diffObservedRules(await iptables.save(), wish), []);
  }
}

inNamespace(import.meta.url, () => {
  const path = Deno.env.get("PATH") ?? "";
  for (const variant of ["nf_tables", "legacy"] as const) {
    for (const family of ["IPv4", "IPv6"] as const) {
      Deno.test(`rules of ipvs mode are read back as written: ${variant}, ${family}`, async () => {
        const directory = await Deno.makeTempDir();
        Deno.env.set("PATH", variant === "legacy" ? await legacyIptablesPath(directory) : path);
        await roundTrip(family);
        Deno.env.set("PATH", path);
        await Deno.remove(directory, { recursive: true });
      });
    }
  }
});
