/**
 * Every nftables case, step by step: objects -> plan -> desired table, compared with what the kernel
 * held after kube-proxy had seen the same objects. Text only: no root, no kernel.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { contextOf } from "../../src/backend/nftables/context.ts";
import { formatListing } from "../../src/backend/nftables/listing.ts";
import { renderService } from "../../src/backend/nftables/render_service.ts";
import { renderStatic } from "../../src/backend/nftables/render_static.ts";
import type { Plan } from "../../src/model/plan.ts";
import { IP_FAMILIES } from "../../src/model/ip.ts";
import type { NftablesConfig } from "../../src/config/types.ts";
import { caseNames, expectedText, planSteps } from "./planned_cases.ts";
import { canonicalNftables } from "./canonical/nftables.ts";

/** Steps where vipd decides otherwise: the captured step whose state it reaches, and the fact. */
const DIFFERENCES: Readonly<Record<string, readonly [string, string]>> = {
  "service-cidr/01": ["02", "SYNC-09: a new ServiceCIDR is applied at once"],
  "service-cidr/03": ["04", "SYNC-09: a removed ServiceCIDR is applied at once"],
};

/** A mode switch or a cleanup leaves no table. */
const NO_TABLE = new Set(["cleanup/02", "cleanup/03", "switch-nftables-iptables/01"]);

function listingOf(plan: Plan, config: NftablesConfig): string {
  const context = contextOf(plan, { config, previous: undefined });
  const services = [...plan.services.values()].map((service) => renderService(service, context));
  return formatListing([renderStatic(context), ...services], context.family);
}

for (const name of caseNames("nftables")) {
  Deno.test(`render() makes the table of case ${name}`, () => {
    let mode = "nftables";
    const tables = { IPv4: "", IPv6: "" };
    for (const { number, proxy, config, plans } of planSteps(name)) {
      mode = proxy.mode ?? mode;
      const step = `${name}/${number}`;
      const isGone = mode !== "nftables" || proxy.action === "cleanup" || NO_TABLE.has(step);
      const captured = DIFFERENCES[step]?.[0] ?? number;
      for (const family of IP_FAMILIES) {
        const file = `nftables.${family === "IPv4" ? "v4" : "v6"}`;
        const expected = expectedText(`${name}/expected/nftables/${captured}/${file}`);
        if (isGone) tables[family] = "";
        else if (proxy.action !== "stop") {
          tables[family] = listingOf(plans[family], config.nftables);
        }
        strictEqual(canonicalNftables(tables[family]), expected, `${step} ${file}`);
      }
    }
  });
}
