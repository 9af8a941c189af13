import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { service, slice, sliceEndpoint } from "../../test/support/builders.ts";
import { completeConfiguration } from "../config/complete.ts";
import { plannerOptions } from "../config/planner_options.ts";
import type { Conntrack } from "../kernel/conntrack/conntrack.ts";
import { Store } from "../kube/store.ts";
import { type Logger, SILENT } from "../log.ts";
import type { Flow } from "../model/conntrack.ts";
import { parseIp } from "../model/ip.ts";
import type { Plan } from "../model/plan.ts";
import { Planner } from "../model/planner.ts";
import { StaleFlows } from "./stale_flows.ts";

const CLIENT = parseIp("10.0.0.9");
const VIP = parseIp("172.30.0.1");

/** UDP port 53 of ns/web, served by these addresses, planned again and again. */
class Plans {
  readonly #store = new Store();
  readonly #planner = new Planner(
    plannerOptions(completeConfiguration({}), { family: "IPv4", nodeName: "here" }),
  );

  next(...ips: readonly string[]): Plan {
    const ports = [{ name: "dns", protocol: "UDP", port: 53, nodePort: 0 } as const];
    this.#store.apply({ kind: "Service", key: "ns/web", object: service({ ports }) });
    const object = slice({
      ports: [{ name: "dns", protocol: "UDP", port: 5353 }],
      endpoints: ips.map((ip) => sliceEndpoint(ip)),
    });
    this.#store.apply({ kind: "EndpointSlice", key: "ns/web-1", object });
    return this.#planner.plan(this.#store, []);
  }
}

function flowTo(server: string): Flow {
  return {
    family: "IPv4",
    protocol: "UDP",
    original: { source: CLIENT, sourcePort: 999, destination: VIP, destinationPort: 53 },
    reply: {
      source: parseIp(server),
      sourcePort: 5353,
      destination: CLIENT,
      destinationPort: 999,
    },
  };
}

/** A table with these flows. */
class FakeConntrack implements Conntrack {
  flows = [flowTo("10.0.0.1"), flowTo("10.0.0.2")];
  listed = 0;

  list(): Flow[] {
    this.listed++;
    return this.flows;
  }

  delete(flows: readonly Flow[]): void {
    this.flows = this.flows.filter((flow) => !flows.includes(flow));
  }

  [Symbol.dispose](): void {}
}

Deno.test("StaleFlows deletes flows to gone endpoints, at the start too (CT-06)", async () => {
  const plans = new Plans();
  const conntrack = new FakeConntrack();
  const stale = new StaleFlows(() => Promise.resolve(conntrack), SILENT);
  deepStrictEqual(await stale.clean(plans.next("10.0.0.1")), { deleted: 1 });
  deepStrictEqual(conntrack.flows.map(({ reply }) => reply.source), ["10.0.0.1"]);
});

Deno.test("StaleFlows reads the table only when endpoints of UDP ports changed", async () => {
  const plans = new Plans();
  const conntrack = new FakeConntrack();
  const stale = new StaleFlows(() => Promise.resolve(conntrack), SILENT);
  await stale.clean(plans.next("10.0.0.1"));
  strictEqual(await stale.clean(plans.next("10.0.0.1")), undefined);
  strictEqual(conntrack.listed, 1);
});

Deno.test("StaleFlows warns once, goes on, and catches up when it can again", async () => {
  const plans = new Plans();
  const conntrack = new FakeConntrack();
  const warnings: string[] = [];
  const log: Logger = { ...SILENT, warn: (message) => void warnings.push(message) };
  let isBroken = true;
  const open = () =>
    isBroken ? Promise.reject(new Error("libnl is missing")) : Promise.resolve(conntrack);
  const stale = new StaleFlows(open, log);
  await stale.clean(plans.next("10.0.0.1"));
  await stale.clean(plans.next("10.0.0.3"));
  strictEqual(warnings.length, 1);
  isBroken = false;
  deepStrictEqual(await stale.clean(plans.next("10.0.0.3")), { deleted: 2 });
});
