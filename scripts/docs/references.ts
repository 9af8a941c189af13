/**
 * The references of docs/ as text, from the tables that vipd itself runs by: nothing in them can be
 * out of date without a test that says so.
 *
 * @module
 */

import { type Flag, FLAGS } from "../../src/cli/flags.ts";
import { formatDuration } from "../../src/config/duration.ts";
import { type Field, FIELD_PATHS, FIELDS } from "../../src/config/fields.ts";
import { GATES } from "../../src/config/gates.ts";
import { type MetricRow, METRICS } from "../../src/server/metric_table.ts";

const GENERATED = "<!-- Written by `deno task docs` from the tables in src/; do not edit. -->";

/** docs/configuration.md. */
export function configurationText(): string {
  const shown = FLAGS.filter(({ hidden }) => !hidden);
  const gates = [...GATES].map((
    [name, { initial, isLocked }],
  ) => [`\`${name}\``, String(initial), isLocked ? "yes" : ""]);
  return `${GENERATED}

# Configuration

vipd reads the flags and the configuration file of kube-proxy 1.36. With \`--config\` nearly every flag
is ignored, as kube-proxy does; flags marked with * win over the file.

## Flags

${table(["flag", "kind", "sets", "meaning"], shown.map(flagRow))}

Deprecated, but accepted: ${
    FLAGS.filter(({ hidden }) => hidden).map(({ name }) => `\`--${name}\``).join(", ")
  }.

## Fields of the file

\`apiVersion: kubeproxy.config.k8s.io/v1alpha1\`, \`kind: KubeProxyConfiguration\`. No default means that
it depends on other fields, or that vipd chooses. "explicit zero" says whether 0 or "" is a value of
its own; elsewhere it means the default.

${table(["field", "kind", "default", "explicit zero"], FIELD_PATHS.map(fieldRow))}

## Feature gates

${table(["gate", "default", "locked"], gates)}
`;
}

function flagRow({ name, short, kind, sets, help, beatsFile }: Flag): readonly string[] {
  const names = short === undefined ? `\`--${name}\`` : `\`-${short}\`, \`--${name}\``;
  const target = "field" in sets ? `\`${sets.field}\`` : "";
  return [beatsFile ? `${names} *` : names, kind, target, help];
}

function fieldRow(path: keyof typeof FIELDS): readonly string[] {
  const field: Field = FIELDS[path];
  return [`\`${path}\``, field.kind, initialText(field), field.isZeroKept ? "yes" : ""];
}

function initialText({ kind, initial }: Field): string {
  if (initial === undefined || kind === "ignored") return "";
  if (typeof initial === "number" && kind.toLowerCase().endsWith("duration")) {
    return `\`${formatDuration(initial)}\``;
  }
  return `\`${JSON.stringify(initial)}\``;
}

/** docs/metrics.md. */
export function metricsText(): string {
  const rows = Object.entries<MetricRow>(METRICS).map(([name, { kind, labels, modes, help }]) => [
    `\`${name}\``,
    kind,
    labels.map((label) => `\`${label}\``).join(", "),
    modes?.join(", ") ?? "all",
    help,
  ]);
  return `${GENERATED}

# Metrics

On \`metricsBindAddress\` (127.0.0.1:10249) at \`/metrics\`, in the text format of Prometheus. Names and
labels are those of kube-proxy 1.36; \`kubeproxy_vipd_…\` are vipd's own.

${table(["metric", "kind", "labels", "modes", "what"], rows)}
`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const [first = [], ...rest] = cells;
  return [line(first), rule, ...rest.map(line)].join("\n");
}
