import { strictEqual } from "node:assert/strict";
import { Generations } from "./generations.ts";

const OURS = [
  "add element ip kube-proxy service-ips { 10.0.0.1 . tcp . 80 : drop }",
  "# new generation 6 by process 10355 (nft)",
];
const OTHERS = ["add table ip6 kube-proxy", "# new generation 7 by process 1 (nft)"];

function generations(): Generations {
  return new Generations({ family: "ip", name: "kube-proxy" });
}

Deno.test("Generations tells of a commit that nobody here made", () => {
  const one = generations();
  OURS.forEach((line) => one.note(line));
  strictEqual(one.settle(), `${OURS[0]} (by process 10355 (nft))`);
  strictEqual(one.settle(), undefined);
});

Deno.test("Generations keeps quiet about own commits, heard of before or after their end", () => {
  const one = generations();
  one.noteOwn();
  OURS.forEach((line) => one.note(line));
  strictEqual(one.settle(), undefined);
  one.noteOwn();
  strictEqual(one.settle(), undefined);
  OURS.forEach((line) => one.note(line));
  strictEqual(one.settle(), undefined);
  OURS.forEach((line) => one.note(line));
  strictEqual(typeof one.settle(), "string");
});

Deno.test("Generations keeps quiet about other tables and names that begin alike", () => {
  const one = generations();
  [...OTHERS, "add table ip kube-proxy-2", OTHERS[1] ?? ""].forEach((line) => one.note(line));
  strictEqual(one.settle(), undefined);
});
