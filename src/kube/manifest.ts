/**
 * One manifest: text of YAML or JSON, with one or many documents, lists included, as the objects
 * of it that vipd watches. All else in it is left alone.
 *
 * @module
 */

import type { Note } from "../model/plan.ts";
import { LineCounter, parseAllDocuments } from "yaml";
import type { Change } from "./changes.ts";
import { decodeObject } from "./decode.ts";
import { isGiven, type JsonObject, listAt, parseObject, textAt } from "./json.ts";
import { resourceOf } from "./resources.ts";

/** Lists in lists are unusual, lists that contain themselves (by YAML aliases) are not written. */
const MAX_LIST_DEPTH = 4;

/** A text that is no manifest. */
export class ManifestError extends SyntaxError {
  override readonly name = "ManifestError";
  /** `line` counts from 1; 0: unknown. */
  constructor(readonly reason: string, readonly line: number, options?: ErrorOptions) {
    super(`Cannot read manifest: line ${line}: ${reason}`);
    if (options?.cause !== undefined) this.cause = options.cause;
  }
}

/** An object of a manifest, and what had to be left out of it. */
export interface ManifestEntry {
  /** Undefined when it has no name. */
  readonly change: Change | undefined;
  readonly note: Note | undefined;
}

/**
 * Decodes the watched objects of a manifest as they are seen from a node.
 *
 * @throws {ManifestError} when the text is neither YAML nor JSON.
 */
export function decodeManifest(
  text: string,
  { nodeName }: { nodeName: string },
): readonly ManifestEntry[] {
  return parseDocuments(text).flatMap((json) => flatten(json, 0)).flatMap((json) => {
    const resource = resourceOf(json);
    return resource === undefined ? [] : [decodeObject(json, { resource, nodeName })];
  });
}

function parseDocuments(text: string): readonly JsonObject[] {
  // Large files are JSON, and JSON.parse is a hundred times faster than the YAML parser.
  if (/^\s*\{/.test(text)) {
    try {
      return [parseObject(JSON.parse(text))];
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      // YAML may begin like JSON too; its parser then says in which line it is wrong.
    }
  }
  return parseYamlDocuments(text);
}

function parseYamlDocuments(text: string): readonly JsonObject[] {
  const lineCounter = new LineCounter();
  const options = { stringKeys: true, prettyErrors: false, lineCounter } as const;
  const documents = [parseAllDocuments(text, { ...options, logLevel: "silent" })].flat();
  for (const { errors: [error] } of documents) {
    if (error === undefined) continue;
    throw new ManifestError(error.message, lineCounter.linePos(error.pos[0]).line, {
      cause: error,
    });
  }
  return documents.map((document) => {
    const { line } = lineCounter.linePos(document.range?.[0] ?? 0);
    try {
      return parseObject(document.toJS());
    } catch (cause) {
      // Aliases of aliases of aliases: a document that would fill the memory.
      throw new ManifestError(String(cause), line, { cause });
    }
  });
}

/** The items of `List`, or of `ServiceList` whose items need not say what they are. */
function flatten(json: JsonObject, depth: number): readonly JsonObject[] {
  const kind = textAt(json, "kind");
  if (!kind.endsWith("List") || !Array.isArray(json["items"])) return [json];
  if (depth >= MAX_LIST_DEPTH) return [];
  const defaults = kind === "List"
    ? {}
    : { kind: kind.slice(0, -"List".length), apiVersion: json["apiVersion"] };
  return listAt(json, "items").map(parseObject)
    .map((item) => isGiven(item, "kind") ? item : { ...item, ...defaults })
    .flatMap((item) => flatten(item, depth + 1));
}
