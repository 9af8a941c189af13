/**
 * What is in the executable besides vipd: the packages in its source map, with what the lock file
 * and they themselves say about them.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";
import { bundle } from "../build/bundle.ts";
import { decodePayload } from "../build/payload.ts";

/** A package in the program. */
export interface Component {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says. */
  readonly license: string;
  /** Its licence and notices in full. */
  readonly texts: readonly string[];
  /** SHA-512 of its tarball in hex; undefined: not in the lock file. */
  readonly sha512: string | undefined;
}

/** `name@version` of the npm packages in the sources of a map, each once, in order. */
export function packagesIn(sources: readonly string[]): readonly string[] {
  const found = sources.flatMap((source) => {
    const [, name, version] = /^npm:((?:@[^/]+\/)?[^/]+)\/([^/]+)\//.exec(source) ?? [];
    return name === undefined || version === undefined ? [] : [`${name}@${version}`];
  });
  return [...new Set(found)].sort();
}

/** The packages in an executable of this checkout. */
export async function componentsOf(executable: string): Promise<readonly Component[]> {
  const map = await mapOf(executable);
  const { sources } = JSON.parse(gunzipSync(map).toString());
  const lock: { readonly npm: Locked } = JSON.parse(await Deno.readTextFile("deno.lock"));
  const cache = await npmCache();
  return await Promise.all(
    packagesIn(sources).map((id) => componentOf(id, { locked: lock.npm, cache })),
  );
}

/** The packages of the lock file, by name and version. */
type Locked = Readonly<Record<string, { readonly integrity?: string }>>;

async function mapOf(executable: string): Promise<Uint8Array> {
  try {
    return decodePayload(await Deno.readFile(executable)).map;
  } catch (error) {
    // One that `deno compile` made keeps its map elsewhere; it comes from the same sources.
    if (error instanceof SyntaxError) return (await bundle("src/main.ts")).map;
    throw error;
  }
}

async function componentOf(
  id: string,
  { locked, cache }: { locked: Locked; cache: string },
): Promise<Component> {
  const at = id.lastIndexOf("@");
  const [name, version] = [id.slice(0, at), id.slice(at + 1)];
  const entry = Object.entries(locked).find(([key]) => key === id || key.startsWith(`${id}_`));
  const integrity = entry?.[1].integrity?.replace(/^sha512-/, "");
  const directory = `${cache}/registry.npmjs.org/${name}/${version}`;
  const { license } = JSON.parse(await Deno.readTextFile(`${directory}/package.json`));
  if (typeof license !== "string") throw new Error(`${id} does not say its licence`);
  return {
    name,
    version,
    license,
    texts: await licenceTexts(directory),
    sha512: integrity && Uint8Array.fromBase64(integrity).toHex(),
  };
}

async function licenceTexts(directory: string): Promise<readonly string[]> {
  const names = (await Array.fromAsync(Deno.readDir(directory), ({ name }) => name))
    .filter((name) => /^(licen[cs]e|notice|copying)/i.test(name)).sort();
  if (names.length === 0) throw new Error(`No licence in ${directory}`);
  return await Promise.all(names.map((name) => Deno.readTextFile(`${directory}/${name}`)));
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}
