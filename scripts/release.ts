/**
 * `deno task release`: dist/release with everything that belongs to a release beside what
 * `build`, `package:deb`, `image` and `package:npm` made: checksums, a software bill of materials
 * (CycloneDX 1.6), licences, the section of the changelog.
 *
 * The bill lists what is really in the program: the packages in the source map of dist/vipd.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { VIPD_VERSION } from "../src/cli/version.ts";
import { decodePayload } from "./build/payload.ts";
import { RUNTIMES } from "./build/runtime.ts";

/** A package in the program. */
interface Component {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says. */
  readonly license: string;
  /** SHA-512 of its tarball in hex; undefined: not in the lock file. */
  readonly sha512: string | undefined;
}

const DIRECTORY = "dist/release";
const ARTIFACTS = /^vipd(-arm64|.*\.deb|.*\.tgz)?$|^image\.tar$/;

/** `name@version` of the npm packages in the sources of a map, each once, in order. */
export function packagesIn(sources: readonly string[]): readonly string[] {
  const found = sources.flatMap((source) => {
    const [, name, version] = /^npm:((?:@[^/]+\/)?[^/]+)\/([^/]+)\//.exec(source) ?? [];
    return name === undefined || version === undefined ? [] : [`${name}@${version}`];
  });
  return [...new Set(found)].sort();
}

/** The section of one version, without its heading. */
export function changelogSection(text: string, version: string): string {
  const sections = text.split(/^## /m);
  const section = sections.find((part) => part.split("\n")[0]?.trim() === version);
  if (section === undefined) throw new Error(`CHANGELOG.md has no section ${version}`);
  return section.slice(section.indexOf("\n")).trim();
}

/** The packages of the lock file, by name and version. */
type Locked = Readonly<Record<string, { readonly integrity?: string }>>;

async function componentOf(id: string, locked: Locked): Promise<Component> {
  const at = id.lastIndexOf("@");
  const [name, version] = [id.slice(0, at), id.slice(at + 1)];
  const entry = Object.entries(locked).find(([key]) => key === id || key.startsWith(`${id}_`));
  const integrity = entry?.[1].integrity?.replace(/^sha512-/, "");
  const file = `${await npmCache()}/registry.npmjs.org/${name}/${version}/package.json`;
  const { license } = JSON.parse(await Deno.readTextFile(file));
  return {
    name,
    version,
    license: typeof license === "string" ? license : "NOASSERTION",
    sha512: integrity && Uint8Array.fromBase64(integrity).toHex(),
  };
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}

function billOfMaterials(components: readonly Component[]): object {
  const runtime = { ...RUNTIMES.x64, license: "MIT" };
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        name: "vipd",
        version: VIPD_VERSION,
        ...licensed("Apache-2.0"),
      },
    },
    components: [
      {
        type: "platform",
        name: runtime.package,
        version: runtime.version,
        purl: `pkg:npm/${encodeURIComponent(runtime.package)}@${runtime.version}`,
        ...licensed(runtime.license),
      },
      ...components.map(({ name, version, license, sha512 }) => ({
        type: "library",
        name,
        version,
        purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
        ...(sha512 && { hashes: [{ alg: "SHA-512", content: sha512 }] }),
        ...licensed(license),
      })),
    ],
  };
}

function licensed(expression: string): object {
  return { licenses: [{ expression }] };
}

function licencesText(components: readonly Component[]): string {
  const rows = components.map(({ name, version, license }) => `- ${name} ${version}: ${license}`);
  return `# Licences of what is in vipd ${VIPD_VERSION}\n\nvipd itself: Apache-2.0.\n\n` +
    `- ${RUNTIMES.x64.package} ${RUNTIMES.x64.version} (the runtime): MIT\n${rows.join("\n")}\n`;
}

async function checksums(): Promise<string> {
  const names = (await Array.fromAsync(Deno.readDir("dist")))
    .map(({ name }) => name).filter((name) => ARTIFACTS.test(name)).sort();
  const lines = await Promise.all(names.map(async (name) => {
    const digest = createHash("sha256").update(await Deno.readFile(`dist/${name}`)).digest("hex");
    return `${digest}  ${name}\n`;
  }));
  return lines.join("");
}

if (import.meta.main) {
  const { map } = decodePayload(await Deno.readFile("dist/vipd"));
  const { sources } = JSON.parse(gunzipSync(map).toString());
  const lock: { readonly npm: Locked } = JSON.parse(await Deno.readTextFile("deno.lock"));
  const components = await Promise.all(
    packagesIn(sources).map((id) => componentOf(id, lock.npm)),
  );
  const files = {
    "vipd.cdx.json": `${JSON.stringify(billOfMaterials(components), undefined, 1)}\n`,
    "LICENSES.md": licencesText(components),
    "NOTES.md": `${changelogSection(await Deno.readTextFile("CHANGELOG.md"), VIPD_VERSION)}\n`,
    SHA256SUMS: await checksums(),
  };
  await Deno.mkdir(DIRECTORY, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${DIRECTORY}/${name}`, text);
  }
}
