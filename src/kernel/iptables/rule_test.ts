import { strictEqual } from "node:assert/strict";
import { formatRule, randomMatch } from "./rule.ts";

Deno.test("formatRule() writes parts in the order of iptables-save", () => {
  const rule = formatRule({
    target: "KUBE-MARK-MASQ",
    matches: ["-m tcp --dport 80"],
    protocol: "tcp",
    inInterface: { not: "cni0" },
    destination: "10.0.0.1/32",
    source: { not: "10.244.0.0/16" },
  });
  strictEqual(
    rule,
    "! -s 10.244.0.0/16 -d 10.0.0.1/32 ! -i cni0 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ",
  );
});

Deno.test("formatRule() of nothing is nothing", () => strictEqual(formatRule({}), ""));

// As printed by iptables-save 1.8.9; 4096 is a tie that is rounded to even.
const PROBABILITIES = [
  [2, "0.50000000000"],
  [3, "0.33333333349"],
  [5, "0.20000000019"],
  [7, "0.14285714272"],
  [950, "0.00105263153"],
  [4096, "0.00024414062"],
] as const;

for (const [count, want] of PROBABILITIES) {
  Deno.test(`randomMatch(${count}) is what the kernel keeps`, () =>
    strictEqual(randomMatch(count), `-m statistic --mode random --probability ${want}`));
}
