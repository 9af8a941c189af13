/**
 * The captured cases as values: what is done to node, objects and proxy step by step, and what the
 * kernel holds after each. The format is in README.md.
 *
 * @module
 */

import { parse } from "yaml";
import { isObject, type JsonObject } from "../support/apiserver/json.ts";

/** Proxy modes that were captured. */
export const MODES = ["iptables", "nftables", "ipvs"] as const;

/** One of {@linkcode MODES}. */
export type Mode = (typeof MODES)[number];

/** What happens to the proxy in a step. */
export type Action = "none" | "stop" | "kill" | "start" | "restart" | "cleanup";

/** Which object is deleted. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** One step of a case. */
export interface Step {
  /** `00`, `01`, ... */
  readonly number: string;
  readonly title: string;
  /** Shell commands on the node. */
  readonly run: readonly string[];
  readonly apply: readonly JsonObject[];
  readonly delete: readonly Reference[];
  readonly action: Action;
  /** The mode from here on. */
  readonly mode: Mode | undefined;
  /** Top-level fields of the configuration that are replaced from here on. */
  readonly config: JsonObject;
}

/** One case. */
export interface Case {
  readonly name: string;
  readonly title: string;
  readonly modes: readonly Mode[];
  /** Flows are part of the state. */
  readonly conntrack: boolean;
  /** Without mode, kubeconfig, and addresses to listen on. */
  readonly config: JsonObject;
  readonly steps: readonly Step[];
}

const CASES = new URL("cases/", import.meta.url);

/** Names of all cases, sorted. */
export function listCases(): string[] {
  return [...Deno.readDirSync(CASES)].map(({ name }) => name).sort();
}

/** Reads a case. Throws when it is not as README.md says. */
export function loadCase(name: string): Case {
  const about = object(parse(read(`${name}/case.yaml`)), name);
  const steps = objects(about["steps"]).map((step, index) => parseStep(step, { name, index }));
  return {
    name,
    title: text(about["title"]),
    modes: MODES.filter((mode) => list(about["modes"]).includes(mode)),
    conntrack: about["conntrack"] === true,
    config: object(parse(read(`${name}/config.yaml`)), name),
    steps,
  };
}

function parseStep(written: JsonObject, { name, index }: { name: string; index: number }): Step {
  const number = String(index).padStart(2, "0");
  const captured = object(JSON.parse(read(`${name}/${number}.json`)), `${name}/${number}`);
  const proxy = isObject(written["proxy"]) ? written["proxy"] : {};
  return {
    number,
    title: text(written["title"]),
    run: list(written["run"]).map(text),
    apply: objects(index === 0 ? captured["items"] : captured["apply"]),
    delete: objects(captured["delete"]).map(parseReference),
    action: index === 0 ? "start" : parseAction(text(proxy["action"])),
    mode: MODES.find((mode) => mode === proxy["mode"]),
    config: isObject(proxy["config"]) ? proxy["config"] : {},
  };
}

function parseReference(from: JsonObject): Reference {
  const namespace = text(from["namespace"]);
  return {
    apiVersion: text(from["apiVersion"]),
    kind: text(from["kind"]),
    name: text(from["name"]),
    ...(namespace !== "" && { namespace }),
  };
}

function parseAction(word: string): Action {
  switch (word) {
    case "stop":
    case "kill":
    case "start":
    case "restart":
    case "cleanup":
      return word;
    case "":
      return "none";
    default:
      throw new SyntaxError(`Unknown proxy action "${word}"`);
  }
}

/** Files by name; those that are not there were empty. */
export type State = ReadonlyMap<string, string>;

/** The captured state after a step, without `exit-code`. */
export function capturedState(name: string, step: { mode: Mode; number: string }): State {
  return readFiles(new URL(`${name}/expected/${step.mode}/${step.number}/`, CASES));
}

/** Files of a directory; none when it is not there. */
export function readFiles(directory: URL): State {
  const files = new Map<string, string>();
  try {
    for (const { name } of Deno.readDirSync(directory)) {
      if (name !== "exit-code" && name !== "nothing") {
        files.set(name, Deno.readTextFileSync(new URL(name, directory)));
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files;
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, CASES));
}

function object(value: unknown, where: string): JsonObject {
  if (isObject(value)) return value;
  throw new SyntaxError(`${where} is not an object`);
}

function objects(value: unknown): JsonObject[] {
  return list(value).map((item) => object(item, "an item"));
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
