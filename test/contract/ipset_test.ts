/**
 * The table of src/kernel/ipset/contract.ts against the real tool. Needs root, ipset.
 *
 * @module
 */

import { strictEqual } from "node:assert/strict";
import { IPSET_CONTRACT, SET_LIST_CONTRACT } from "../../src/kernel/ipset/contract.ts";
import { diffSets } from "../../src/kernel/ipset/diff.ts";
import { ipsetTool } from "../../src/kernel/ipset/ipset.ts";
import { openSetList } from "../../src/kernel/ipset/list.ts";
import { formatRestore, GROWING } from "../../src/kernel/ipset/restore.ts";
import type { IpSet } from "../../src/kernel/ipset/values.ts";
import { ended } from "../support/process.ts";
import { inNamespace } from "./inside.ts";

inNamespace(import.meta.url, () => {
  for (const { title, check } of IPSET_CONTRACT) {
    Deno.test(`ipset: ${title}`, async () => {
      await ended(["ipset", "destroy"]);
      await check(ipsetTool());
    });
  }

  for (const { title, check } of SET_LIST_CONTRACT) {
    Deno.test(`sets as a list: ${title}`, async () => {
      await ended(["ipset", "destroy"]);
      using list = openSetList();
      await check({ ipset: ipsetTool(), list });
    });
  }

  Deno.test("ipset: 70,000 entries, after a run was killed while the set grew", async () => {
    await ended(["ipset", "destroy"]);
    const ipset = ipsetTool();
    const entries = Array.from(
      { length: 70_000 },
      (_, i) => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`,
    );
    const wanted = (count: number): IpSet => ({
      header: { name: "KUBE-A", type: "hash:ip", family: "IPv4", maxElements: 65_536 },
      entries: new Set(entries.slice(0, count)),
    });
    await ipset.restore(formatRestore(diffSets(new Map(), [wanted(5)]).changes));
    await ipset.restore(`create ${GROWING.IPv4} hash:ip family inet maxelem 17\n`);
    const { changes } = diffSets(await ipset.save("KUBE-"), [wanted(70_000)]);
    await ipset.restore(formatRestore(changes));
    const sets = await ipset.save("KUBE-");
    strictEqual(sets.get("KUBE-A")?.entries.size, 70_000);
    strictEqual(sets.size, 1);
  });
});
