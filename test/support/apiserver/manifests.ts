/**
 * Objects from files: YAML (several documents) or JSON, a v1 List or single objects, one file or
 * all of a directory.
 *
 * @module
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { isObject, objectsAt } from "./json.ts";
import { RESOURCES } from "./resources.ts";

/** The objects, those that others depend on first. Throws SyntaxError naming the file. */
export async function loadManifests(path: string): Promise<object[]> {
  const isDirectory = (await stat(path)).isDirectory();
  const names = isDirectory ? (await readdir(path)).filter(isManifest).sort() : [];
  const files = isDirectory ? names.map((name) => join(path, name)) : [path];
  const objects = await Promise.all(files.map(readManifest));
  return objects.flat().sort((a, b) => rankOf(a) - rankOf(b));
}

function isManifest(name: string): boolean {
  return /\.(ya?ml|json)$/.test(name);
}

async function readManifest(path: string): Promise<object[]> {
  const documents = parseAllDocuments(await readFile(path, "utf8"));
  return [...documents].flatMap((document) => {
    const [error] = document.errors;
    if (error) throw new SyntaxError(`Cannot parse ${path}: ${error.message}`, { cause: error });
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    if (!isObject(value)) throw new SyntaxError(`Cannot parse ${path}: not an object`);
    return value["kind"] === "List" ? objectsAt(value, "items") : [value];
  });
}

function rankOf(object: object): number {
  return RESOURCES.findIndex(({ kind }) => kind === Reflect.get(object, "kind"));
}
