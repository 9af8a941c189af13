/**
 * `deno task release`: dist/release with all that belongs to a release. What `build`, `package:deb`
 * and `image` made is copied; the npm package, a software bill of materials (CycloneDX 1.6),
 * licences, and the section of the changelog are made; SHA256SUMS is over all of them. The
 * advisories of `deno audit` end it, where their service can be reached.
 *
 * The bill lists what is really in the program: the packages in the source map of dist/vipd.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { VIPD_VERSION } from "../src/cli/version.ts";
import { componentsOf } from "./release/components.ts";
import { licencesOf } from "./release/licences.ts";
import { billOfMaterials, changelogSection } from "./release/papers.ts";

const DIRECTORY = "dist/release";

/** Whether a file in dist/ belongs to the release of a version. */
export function isArtifact(name: string, version: string): boolean {
  const isPackage = name.startsWith(`vipd_${version}_`) && name.endsWith(".deb");
  return isPackage || /^vipd(-arm64)?$|^image.*\.tar$/.test(name);
}

async function copyArtifacts(): Promise<void> {
  for await (const { name, isFile } of Deno.readDir("dist")) {
    if (!isFile || !isArtifact(name, VIPD_VERSION)) continue;
    await Deno.copyFile(`dist/${name}`, `${DIRECTORY}/${name}`);
  }
  const file = `${DIRECTORY}/vipd-vipd-${VIPD_VERSION}.tgz`;
  await output([Deno.execPath(), "task", "--quiet", "package:npm", `--output=${file}`]);
}

async function writePapers(): Promise<void> {
  const [commit = "", time = ""] = (await output(["git", "log", "-1", "--format=%H %cI"])).trim()
    .split(" ");
  const components = await componentsOf("dist/vipd");
  const release = { version: VIPD_VERSION, commit, time, components };
  const papers = {
    "vipd.cdx.json": `${JSON.stringify(billOfMaterials(release), undefined, 1)}\n`,
    "LICENSES.md": await licencesOf(components),
    "NOTES.md": `${changelogSection(await Deno.readTextFile("CHANGELOG.md"), VIPD_VERSION)}\n`,
  };
  for (const [name, text] of Object.entries(papers)) {
    await Deno.writeTextFile(`${DIRECTORY}/${name}`, text);
  }
}

async function writeChecksums(): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(DIRECTORY), ({ name }) => name)).sort();
  const lines: string[] = [];
  for (const name of names) {
    const bytes = await Deno.readFile(`${DIRECTORY}/${name}`);
    lines.push(`${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`);
  }
  await Deno.writeTextFile(`${DIRECTORY}/SHA256SUMS`, lines.join(""));
}

/** Of `deno audit`. Throws when it knows something against a package. */
async function audit(): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["audit", "--quiet"],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (success) return "no advisories against the packages";
  const text = decoder.decode(stdout) + decoder.decode(stderr);
  const [, why] = /error sending request .*: (.*)/.exec(text) ?? [];
  if (why === undefined) throw new Error(`deno audit has something to say:\n${text}`);
  return `not audited, the service cannot be reached: ${why}`;
}

async function output([command = "", ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`Cannot run "${[command, ...args].join(" ")}": ${decoder.decode(stderr)}`);
}

if (import.meta.main) {
  const audited = await audit();
  await Deno.remove(DIRECTORY, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(DIRECTORY, { recursive: true });
  await copyArtifacts();
  await writePapers();
  await writeChecksums();
  await Deno.stdout.write(new TextEncoder().encode(`${DIRECTORY} is written; ${audited}\n`));
}
