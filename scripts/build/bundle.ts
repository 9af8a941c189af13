/**
 * Everything that src/main.ts reaches in one minified file, with a source map apart from it. Only
 * stack traces of a program that fails ever read the map, so it is packed, and without the text
 * of the sources.
 *
 * @module
 */

import { gzipSync } from "node:zlib";

/** A program in one file. */
export interface Bundle {
  readonly code: Uint8Array<ArrayBuffer>;
  /** Source map version 3, gzip. */
  readonly map: Uint8Array<ArrayBuffer>;
}

/** Bundles an entry point of this repository. */
export async function bundle(entry: string): Promise<Bundle> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-bundle-" });
  try {
    const file = `${directory}/vipd.js`;
    const options = ["--quiet", "--platform=deno", "--minify", "--sourcemap=external"];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", ...options, "-o", file, entry],
    }).output();
    if (!success) throw new Error(`Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`);
    return {
      code: await Deno.readFile(file),
      map: packMap(await Deno.readTextFile(`${file}.map`)),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Drops the sources' text and where this machine keeps packages; the same input, the same bytes. */
export function packMap(text: string): Uint8Array<ArrayBuffer> {
  const { version, sources, names, mappings } = JSON.parse(text) as Record<string, unknown>;
  const paths = (sources as readonly string[]).map(sourceName);
  const json = JSON.stringify({ version, sources: paths, names, mappings });
  return Uint8Array.from(gzipSync(json, { level: 9 }));
}

/** `src/…` for ours, `npm:name/version/…` for those of packages. */
export function sourceName(path: string): string {
  const inPackage = path.match(/\/npm\/[^/]+\/(.*)$/);
  if (inPackage) return `npm:${inPackage[1]}`;
  return path.replace(/^.*?(?=(?:src|scripts)\/)/, "");
}
