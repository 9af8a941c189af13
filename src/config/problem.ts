/**
 * What is wrong with the configuration, as values first and as one error in the end: like
 * kube-proxy, all violations are told at once, each with the path of the field and its value.
 *
 * @module
 */

/** One thing that is wrong. */
export interface ConfigProblem {
  /** `KubeProxyConfiguration.SyncPeriod`, `--proxy-mode`, or the name of a file. */
  readonly path: string;
  /** What was given; undefined when the value is not the point. */
  readonly value?: unknown;
  readonly reason: string;
}

/** A configuration that cannot be used. The cli prints it and exits 1. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const texts = problems.map(formatProblem);
    super(texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`, options);
  }
}

/** `path: Invalid value: "x": reason`, as kube-proxy prints violations. */
export function formatProblem({ path, value, reason }: ConfigProblem): string {
  if (value === undefined) return `${path}: ${reason}`;
  return `${path}: Invalid value: ${formatValue(value)}: ${reason}`;
}

function formatValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
