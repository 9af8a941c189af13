import { ok, strictEqual } from "node:assert/strict";
import type { Notification } from "../netlink/channel.ts";
import { writeNfgen } from "../netlink/nfnetlink.ts";
import { MessageWriter } from "../netlink/writer.ts";
import { FAMILY_NUMBER, MSG, TABLE } from "./constants.ts";
import { Disturbance } from "./disturbance.ts";
import type { TableName } from "./values.ts";

const OURS: TableName = { family: "ip", name: "kube-proxy" };

function news(type: number, body: (writer: MessageWriter) => void): Notification {
  const writer = new MessageWriter();
  body(writer);
  const payload = writer.written().slice();
  return { kind: "message", message: { type, flags: 0, sequence: 0, port: 7, payload } };
}

function about(type: number, { family, name }: TableName): Notification {
  return news(type, (writer) => {
    writeNfgen(writer, FAMILY_NUMBER[family]);
    writer.string(TABLE.NAME, name);
  });
}

function generation(number: number): Notification {
  return news(MSG.NEWGEN, (writer) => {
    writeNfgen(writer, 0);
    writer.be32(1, number);
  });
}

const OTHERS: TableName = { family: "ip", name: "others" };
const LOST: Notification = { kind: "lost" };

/** What is told, in runs with a pause between, while the generation goes from 5 to 6. */
const CASES: readonly (readonly [string, readonly (readonly Notification[])[], boolean])[] = [
  ["an element of others", [[about(MSG.NEWSETELEM, OTHERS), generation(6)]], false],
  ["news that come late", [[], [], [about(MSG.NEWRULE, OTHERS)], [generation(6)]], false],
  ["an element of ours", [[about(MSG.NEWSETELEM, OURS), generation(6)]], true],
  ["a rule of ours, told late", [[], [about(MSG.DELRULE, OURS)], [generation(6)]], true],
  ["a chain of others in the family", [[about(MSG.DELCHAIN, OTHERS), generation(6)]], true],
  [
    "a chain of others in the other family",
    [[about(MSG.DELCHAIN, { ...OTHERS, family: "ip6" }), generation(6)]],
    false,
  ],
  ["our table in the other family", [[about(MSG.NEWRULE, { ...OURS, family: "ip6" })], [
    generation(6),
  ]], false],
  ["lost news", [[LOST]], true],
  ["no news at all", [], true],
];

for (const [what, told, expected] of CASES) {
  Deno.test(`Disturbance: ${what} ${expected ? "disturbs" : "does not disturb"}`, async () => {
    // Older news do not count.
    const waiting = [[about(MSG.NEWRULE, OURS), LOST], ...told];
    let now = 5;
    const disturbance = new Disturbance(OURS, {
      channel: { pending: () => waiting.shift() ?? [] },
      generation: () => now,
      breathe: () => Promise.resolve(),
    });
    now = 6;
    strictEqual(await disturbance.happened(), expected);
  });
}

Deno.test("Disturbance: none when the generation is the same", async () => {
  const disturbance = new Disturbance(OURS, {
    channel: { pending: () => [] },
    generation: () => 5,
    breathe: () => Promise.resolve(),
  });
  const happened = await disturbance.happened();
  ok(!happened);
});
