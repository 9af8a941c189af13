import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { bitsOf, familyOfCidr, formatCidr, parseCidr, parseIp } from "../../model/ip.ts";
import { cidrsOfRange, formatInterval, mergeCidrs } from "./intervals.ts";

/** What goes in, and what nft 1.0.6 lists. */
const MERGED = [
  [["10.0.0.0/8"], "10.0.0.0/8"],
  [["10.0.0.0/8", "10.1.0.0/16"], "10.0.0.0/8"],
  [["192.0.2.73/32", "192.0.2.72/32"], "192.0.2.72/31"],
  [["192.0.2.72/32", "192.0.2.74/32"], "192.0.2.72, 192.0.2.74"],
  [["10.96.0.0/12", "10.112.0.0/16"], "10.96.0.0-10.112.255.255"],
  [["255.255.255.0/24", "1.0.0.0/8"], "1.0.0.0/8, 255.255.255.0/24"],
  [["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0"],
  [["fd00::1/128", "fd00::/128"], "fd00::/127"],
  [["fd01::/64", "fd00::/64"], "fd00::/64, fd01::/64"],
] as const;

for (const [cidrs, want] of MERGED) {
  Deno.test(`mergeCidrs() makes ${want} of ${cidrs.join(" ")}`, () => {
    const parsed = cidrs.map(parseCidr);
    const [first] = parsed;
    const bits = first === undefined ? 32 : bitsOf(familyOfCidr(first));
    const text = mergeCidrs(parsed).map((interval) => formatInterval(interval, bits)).join(", ");
    strictEqual(text, want);
  });
}

Deno.test("cidrsOfRange() covers a range with the fewest networks", () => {
  const cidrs = (first: string, last: string) =>
    cidrsOfRange(parseIp(first), parseIp(last)).map(formatCidr);
  deepStrictEqual(cidrs("10.96.0.0", "10.112.255.255"), ["10.96.0.0/12", "10.112.0.0/16"]);
  deepStrictEqual(cidrs("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
  deepStrictEqual(cidrs("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
  deepStrictEqual(cidrs("fd00::1", "fd00::4"), ["fd00::1/128", "fd00::2/127", "fd00::4/128"]);
});
