import { deepStrictEqual } from "node:assert/strict";
import { chooseVariant, type Holdings, parseHoldings } from "./variant.ts";

const hinted = (rules: number): Holdings => ({ isHinted: true, rules });
const plain = (rules: number): Holdings => ({ isHinted: false, rules });

const CHOICES = [
  ["the hint in nft, more rules in legacy", hinted(0), plain(9), "nft", "the kubelet uses it"],
  ["the hint in nft, legacy not looked at", hinted(3), undefined, "nft", "the kubelet uses it"],
  ["the hint in legacy, more rules in nft", plain(9), hinted(0), "legacy", "the kubelet uses it"],
  ["the hint in both", hinted(0), hinted(9), "nft", "the kubelet uses it"],
  ["more rules in nft", plain(2), plain(1), "nft", "it has more rules"],
  ["more rules in legacy", plain(1), plain(2), "legacy", "it has more rules"],
  ["no rules", plain(0), plain(0), "nft", "both have as many rules"],
  ["as many rules", plain(7), plain(7), "nft", "both have as many rules"],
  ["no nft", undefined, plain(0), "legacy", "the other one cannot be used"],
  ["no nft, but a hint in legacy", undefined, hinted(1), "legacy", "the kubelet uses it"],
  ["no legacy", plain(0), undefined, "nft", "the other one cannot be used"],
] as const;

for (const [what, nft, legacy, variant, reason] of CHOICES) {
  Deno.test(`chooseVariant() takes ${variant} with ${what}`, () => {
    deepStrictEqual(chooseVariant({ nft, legacy }), { variant, reason });
  });
}

Deno.test("chooseVariant() takes none where neither can be used", () => {
  deepStrictEqual(chooseVariant({ nft: undefined, legacy: undefined }), undefined);
});

const TABLE = "*mangle\n:PREROUTING ACCEPT [0:0]\n";
const TEXTS = [
  ["nothing", "", plain(0)],
  ["a table without rules", `${TABLE}COMMIT\n`, plain(0)],
  ["the hint of the kubelet", `${TABLE}:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n`, hinted(0)],
  ["the canary of the kubelet", `${TABLE}:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n`, hinted(0)],
  ["the canary of a kube-proxy", `${TABLE}:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n`, plain(0)],
  ["a longer name", `${TABLE}:KUBE-IPTABLES-HINTS - [0:0]\nCOMMIT\n`, plain(0)],
  [
    "a comment that names the hint",
    `${TABLE}-A PREROUTING -m comment --comment ":KUBE-IPTABLES-HINT " -j ACCEPT\nCOMMIT\n`,
    plain(1),
  ],
  ["rules of two families", `${TABLE}-A A -j B\nCOMMIT\n${TABLE}-A A -j C\nCOMMIT\n`, plain(2)],
] as const;

for (const [what, text, want] of TEXTS) {
  Deno.test(`parseHoldings() of ${what}`, () => deepStrictEqual(parseHoldings(text), want));
}
