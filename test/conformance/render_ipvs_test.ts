/**
 * Every ipvs case, step by step: objects -> plan -> desired virtual servers, sets, addresses and
 * rules, compared with what the kernel held after kube-proxy had seen the same objects. Text only:
 * no root, no kernel.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert/strict";
import { filterChains } from "../../src/backend/ipvs/filter_rules.ts";
import { natChains } from "../../src/backend/ipvs/nat_rules.ts";
import {
  servicePlace,
  type ServiceWish,
  serviceWish,
} from "../../src/backend/ipvs/service_wish.ts";
import type { RuleFacts } from "../../src/backend/ipvs/set_rules.ts";
import { kernelSetName, SET_NAMES } from "../../src/backend/ipvs/sets.ts";
import type { KubeProxyConfiguration } from "../../src/config/types.ts";
import type { Chain } from "../../src/kernel/iptables/ruleset.ts";
import { formatHostPort, IP_FAMILIES, type IpFamily } from "../../src/model/ip.ts";
import type { Plan } from "../../src/model/plan.ts";
import { caseNames, expectedText, planSteps } from "./planned_cases.ts";

/** Steps whose state is not that of a plan alone: the proxy is down, or another mode runs. */
function isPlanned(step: { action?: string; mode?: string }): boolean {
  return step.action !== "stop" && step.action !== "cleanup" && (step.mode ?? "ipvs") === "ipvs";
}

function wishesOf(plan: Plan): readonly ServiceWish[] {
  const place = servicePlace(plan.node);
  return [...plan.services.values()].map((service) => serviceWish(service, place));
}

const OPTIONS = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" } as const;

/** `ipvsadm -Sn` without scheduler and flags. */
function serverLines(wishes: readonly ServiceWish[]): readonly string[] {
  return wishes.flatMap(({ servers }) =>
    servers.flatMap(({ address, persistenceSeconds, realServers }) => {
      const { ip, port, protocol } = address;
      const server = `${OPTIONS[protocol]} ${formatHostPort(ip, port)}`;
      const persistence = persistenceSeconds > 0 ? ` -p ${persistenceSeconds}` : "";
      return [
        `-A ${server}${persistence}`,
        ...realServers.map(({ text }) => `-a ${server} -r ${text} -m -w 1`),
      ];
    })
  ).sort();
}

function entryLines(wishes: readonly ServiceWish[], family: IpFamily): readonly string[] {
  const lines = wishes.flatMap(({ entries, addresses }) => [
    ...entries.map(([set, entry]) => `add ${kernelSetName(set, family)} ${entry}`),
    ...addresses.map((ip) => `add ${kernelSetName("KUBE-IPVS-IPS", family)} ${ip}`),
  ]);
  return [...new Set(lines)].sort();
}

function ruleLines(
  { plan, config }: { plan: Plan; config: KubeProxyConfiguration },
  wishes: readonly ServiceWish[],
): readonly string[] {
  const used = new Set(wishes.flatMap(({ entries }) => entries.map(([set]) => set)));
  const facts: RuleFacts = {
    family: plan.family,
    masqueradeBit: config.iptables.masqueradeBit,
    masqueradeAll: config.iptables.masqueradeAll,
    randomFully: true,
    localTraffic: plan.node.localTraffic,
    isUsed: (set) => used.has(set),
    outFilterRules: wishes.flatMap(({ outFilterRules }) => outFilterRules).sort(),
  };
  return [
    ...chainLines("filter", filterChains(facts)),
    ...chainLines("nat", natChains(facts)),
  ].sort();
}

function chainLines(table: string, chains: readonly Chain[]): readonly string[] {
  return chains.flatMap(({ name, rules }) =>
    rules.map((rule, i) => {
      // Order matters but in the chain that only drops.
      const place = name === "KUBE-IPVS-OUT-FILTER" ? "" : ` #${i}`;
      return `${table} ${name}${place} ${rule}`;
    })
  );
}

/** Rules of our chains, numbered, as the case has them. */
function capturedRules(text: string): readonly string[] {
  const counts = new Map<string, number>();
  let table = "";
  const ours = text.split("\n").flatMap((line) => {
    if (line.startsWith("*")) {
      table = line.slice(1);
      counts.clear();
    }
    const [, chain = "", rule = ""] = /^-A (KUBE-\S+) (.*)$/.exec(line) ?? [];
    if (chain === "") return [];
    const i = counts.get(chain) ?? 0;
    counts.set(chain, i + 1);
    return [`${table} ${chain}${chain === "KUBE-IPVS-OUT-FILTER" ? "" : ` #${i}`} ${rule}`];
  });
  return ours.sort();
}

function lines(text: string, pattern: RegExp): readonly string[] {
  return text.split("\n").filter((line) => pattern.test(line)).sort();
}

/** What the case has that no plan decides: foreign servers, schedulers, chains of other modes. */
const NOT_RENDERED = new Set(["ipvs-exclude-cidrs", "stale-chains", "switch-ipvs-iptables"]);

for (const name of caseNames("ipvs").filter((name) => !NOT_RENDERED.has(name))) {
  Deno.test(`serviceWish() and the rules are those of case ${name}`, () => {
    for (const { number, proxy, config, plans } of planSteps(name, "ipvs")) {
      if (!isPlanned(proxy)) continue;
      const directory = `${name}/expected/ipvs/${number}`;
      const wishes = { IPv4: wishesOf(plans.IPv4), IPv6: wishesOf(plans.IPv6) };
      const servers = expectedText(`${directory}/ipvsadm.txt`)
        .replaceAll(/ -s \w+/g, "").replaceAll(/ -b \S+/g, "");
      deepStrictEqual(
        [...serverLines(wishes.IPv4), ...serverLines(wishes.IPv6)].sort(),
        lines(servers, /./),
        `${directory} ipvsadm.txt`,
      );
      deepStrictEqual(
        IP_FAMILIES.flatMap((family) => entryLines(wishes[family], family)).sort(),
        lines(expectedText(`${directory}/ipset.save`), /^add /),
        `${directory} ipset.save`,
      );
      for (const family of IP_FAMILIES) {
        const file = `${directory}/iptables.${family === "IPv4" ? "v4" : "v6"}`;
        deepStrictEqual(
          ruleLines({ plan: plans[family], config }, wishes[family]),
          capturedRules(expectedText(file)),
          file,
        );
      }
    }
  });
}

Deno.test("every set of a case is one of ours", () => {
  const names = new Set(IP_FAMILIES.flatMap((f) => SET_NAMES.map((set) => kernelSetName(set, f))));
  const text = expectedText("clusterip/expected/ipvs/00/ipset.save");
  const created = lines(text, /^create /).map((line) => line.split(" ")[1] ?? "");
  deepStrictEqual(new Set(created), names);
});
