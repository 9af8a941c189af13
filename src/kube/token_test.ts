import { rejects, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import { backoffMs } from "./backoff.ts";
import { basicAuthorization, fixedAuthorization, tokenFileAuthorization } from "./token.ts";
import { userAgent } from "./user_agent.ts";

Deno.test("tokenFileAuthorization() reads a rotated token within a minute, API-01", async () => {
  const clock = new ManualClock();
  let content = "one\n";
  let reads = 0;
  const read = () => Promise.resolve((reads++, content));
  const authorization = tokenFileAuthorization({ read, fallbackToken: "", clock });
  strictEqual(await authorization.header(), "Bearer one");
  content = "two\n";
  clock.advance(59_000);
  strictEqual(await authorization.header(), "Bearer one");
  strictEqual(reads, 1);
  clock.advance(1_000);
  strictEqual(await authorization.header(), "Bearer two");
});

Deno.test("tokenFileAuthorization() reads the file anew when the server refuses the token", async () => {
  let content = "one\n";
  const read = () => Promise.resolve(content);
  const clock = new ManualClock();
  const authorization = tokenFileAuthorization({ read, fallbackToken: "", clock });
  strictEqual(await authorization.header(), "Bearer one");
  content = "two\n";
  authorization.distrust();
  strictEqual(await authorization.header(), "Bearer two");
});

Deno.test("tokenFileAuthorization() keeps the last token while the file cannot be read", async () => {
  const clock = new ManualClock();
  const contents = ["one", new Error("gone"), "", "two"];
  const read = () => {
    const content = contents.shift();
    return typeof content === "string" ? Promise.resolve(content) : Promise.reject(content);
  };
  const authorization = tokenFileAuthorization({ read, fallbackToken: "", clock });
  for (const want of ["one", "one", "one", "two"]) {
    strictEqual(await authorization.header(), `Bearer ${want}`);
    clock.advance(60_000);
  }
});

Deno.test("tokenFileAuthorization() fails while there never was a token, or takes `token`", async () => {
  const clock = new ManualClock();
  const read = () => Promise.reject(new Error("no such file"));
  await rejects(tokenFileAuthorization({ read, fallbackToken: "", clock }).header(), /no such/);
  const authorization = tokenFileAuthorization({ read, fallbackToken: "t", clock });
  strictEqual(await authorization.header(), "Bearer t");
});

Deno.test("fixedAuthorization() and basicAuthorization() make headers", async () => {
  strictEqual(await fixedAuthorization("Bearer t").header(), "Bearer t");
  strictEqual(await basicAuthorization("joe", "ä").header(), "Basic am9lOsOk");
});

Deno.test("backoffMs() doubles from 0.8 s to 30 s, and up to twice as much by chance", () => {
  const never = () => 0;
  const waits = [1, 2, 3, 4, 5, 6, 7, 100].map((failures) => backoffMs(failures, never));
  strictEqual(waits.join(" "), "800 1600 3200 6400 12800 25600 30000 30000");
  strictEqual(backoffMs(1, () => 0.5), 1200);
});

const AGENTS = [
  ["x86_64", "0123456789abcdef", "kube-proxy/v1.36.2 (linux/amd64) kubernetes/0123456"],
  ["aarch64", "", "kube-proxy/v1.36.2 (linux/arm64) kubernetes/vipd"],
  ["riscv64", "bad\r\nheader", "kube-proxy/v1.36.2 (linux/riscv64) kubernetes/vipd"],
] as const;
for (const [machine, commit, want] of AGENTS) {
  Deno.test(`userAgent() is ${want}, API-02`, () => {
    strictEqual(userAgent({ machine, commit }), want);
  });
}
