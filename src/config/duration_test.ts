import { strictEqual, throws } from "node:assert/strict";
import { formatDuration, parseDuration } from "./duration.ts";

const DURATIONS = [
  ["0", 0, "0s"],
  ["0s", 0, "0s"],
  ["1h2m3.5s", 3_723_500, "1h2m3.5s"],
  ["250ms", 250, "250ms"],
  ["1.5h", 5_400_000, "1h30m0s"],
  ["-1m", -60_000, "-1m0s"],
  [".5s", 500, "500ms"],
  ["1us", 0.001, "1µs"],
  ["10ns", 0.00001, "10ns"],
  ["24h", 86_400_000, "24h0m0s"],
] as const;

for (const [text, ms, printed] of DURATIONS) {
  Deno.test(`parseDuration() reads ${text} as ${ms} ms, formatDuration() prints ${printed}`, () => {
    strictEqual(parseDuration(text), ms);
    strictEqual(formatDuration(ms), printed);
  });
}

for (const text of ["", "5", "s", "1d", "1 s", "1s ", "1e3s", "--1s", "1s2", "300000000h", "NaN"]) {
  Deno.test(`parseDuration() refuses ${JSON.stringify(text)}`, () => {
    throws(() => parseDuration(text), { name: "SyntaxError" });
  });
}
