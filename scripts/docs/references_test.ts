import { strictEqual } from "node:assert/strict";
import configuration from "../../docs/configuration.md" with { type: "text" };
import metrics from "../../docs/metrics.md" with { type: "text" };
import { configurationText, metricsText } from "./references.ts";

const HINT = "run `deno task docs`";

Deno.test("docs/configuration.md is what the tables of flags and fields say", () => {
  strictEqual(configuration, configurationText(), HINT);
});

Deno.test("docs/metrics.md is what the table of metrics says", () => {
  strictEqual(metrics, metricsText(), HINT);
});
