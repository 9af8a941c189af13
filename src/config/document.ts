/**
 * Reads a KubeProxyConfiguration file:
 *
 *     apiVersion: kubeproxy.config.k8s.io/v1alpha1
 *     kind: KubeProxyConfiguration
 *     mode: nftables
 *     iptables: {syncPeriod: 30s}
 *
 * YAML or JSON. Unknown and duplicate fields are warnings (CLI-17): a file written for another
 * version must not take a node down. Wrong types and a wrong kind are fatal.
 *
 * @module
 */

import { type ErrorCode, parseDocument } from "yaml";
import { FIELD_PATHS, FIELDS, isFieldPath, type Settings } from "./fields.ts";
import { DOCUMENT_READERS, isRecord } from "./kinds.ts";
import { ConfigError, type ConfigProblem } from "./problem.ts";

const API_VERSION = "kubeproxy.config.k8s.io/v1alpha1";
const KIND = "KubeProxyConfiguration";

/** Mistakes that kube-proxy goes on with, the second by reading the first document only. */
const LENIENT: Readonly<Partial<Record<ErrorCode, string>>> = {
  DUPLICATE_KEY: "duplicate field",
  MULTIPLE_DOCS: "ignored: another document",
};

/** A file that was read. */
export interface ConfigDocument {
  readonly settings: Settings;
  /** What strict decoding would have refused: `unknown field "x"`. */
  readonly warnings: readonly string[];
}

/**
 * Reads the text of a configuration file. `fileName` is for messages.
 *
 * @throws {ConfigError} when it is no YAML, no KubeProxyConfiguration, or a value has a wrong type.
 */
export function parseConfigDocument(text: string, fileName: string): ConfigDocument {
  const { content, warnings } = parseYaml(text, fileName);
  if (!isRecord(content)) {
    throw new ConfigError([{ path: fileName, reason: "must be a map of fields" }]);
  }
  checkKind(content);
  const found = new Map<string, unknown>();
  const unknownFields: string[] = [];
  collect(content, { prefix: "", found, unknownFields });
  return {
    settings: parseSettings(found),
    warnings: [...warnings, ...unknownFields.map((path) => `unknown field "${path}"`)],
  };
}

function parseYaml(
  text: string,
  fileName: string,
): { content: unknown; warnings: readonly string[] } {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  const [fatal] = document.errors.filter(({ code }) => !Object.hasOwn(LENIENT, code));
  if (fatal !== undefined) throw notYaml(fileName, fatal);
  try {
    return {
      content: document.toJS(),
      warnings: document.errors.map(({ code, linePos }) =>
        `${LENIENT[code]} in line ${linePos?.[0].line}`
      ),
    };
  } catch (cause) {
    throw notYaml(fileName, cause); // an alias without its anchor, or a bomb of aliases
  }
}

function notYaml(fileName: string, cause: unknown): ConfigError {
  const [firstLine = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  return new ConfigError([{ path: fileName, reason: `not valid YAML: ${firstLine}` }], { cause });
}

function checkKind(content: Readonly<Record<string, unknown>>): void {
  const problems: ConfigProblem[] = [];
  for (const [path, wanted] of [["apiVersion", API_VERSION], ["kind", KIND]] as const) {
    if (content[path] !== wanted) {
      problems.push({ path, value: content[path] ?? "", reason: `must be "${wanted}"` });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Sorts the leaves of the document into fields and strangers. */
function collect(
  content: Readonly<Record<string, unknown>>,
  into: { prefix: string; found: Map<string, unknown>; unknownFields: string[] },
): void {
  for (const [name, value] of Object.entries(content)) {
    const path = into.prefix + name;
    if (into.prefix === "" && (name === "apiVersion" || name === "kind")) continue;
    if (isFieldPath(path)) into.found.set(path, value);
    else if (!isSection(path)) into.unknownFields.push(path);
    else if (isRecord(value)) collect(value, { ...into, prefix: `${path}.` });
    else if (value !== null) throw new ConfigError([{ path, value, reason: "must be a map" }]);
  }
}

function isSection(path: string): boolean {
  return FIELD_PATHS.some((field) => field.startsWith(`${path}.`));
}

function parseSettings(found: ReadonlyMap<string, unknown>): Settings {
  const settings: Record<string, unknown> = {};
  const problems: ConfigProblem[] = [];
  for (const [path, value] of found) {
    if (value === null || value === undefined || !isFieldPath(path)) continue;
    try {
      settings[path] = DOCUMENT_READERS[FIELDS[path].kind](value);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problems.push({ path, value, reason: error.message });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return settings as Settings;
}
