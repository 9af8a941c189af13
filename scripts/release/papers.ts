/**
 * The papers of a release as text: bill of materials (CycloneDX 1.6), licences, notes.
 *
 * @module
 */

import { RUNTIMES } from "../build/runtime.ts";
import type { Component } from "./components.ts";

/** What the papers are about. */
export interface Release {
  readonly version: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Of the commit, ISO 8601. */
  readonly time: string;
  readonly components: readonly Component[];
}

/** What is in the executables, for CycloneDX. */
export function billOfMaterials({ version, commit, time, components }: Release): object {
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: time,
      component: {
        type: "application",
        "bom-ref": "vipd",
        name: "vipd",
        version,
        purl: `pkg:npm/%40vipd/vipd@${version}`,
        ...licensed("Apache-2.0"),
        properties: [{ name: "vipd:commit", value: commit }],
      },
    },
    components: [
      ...Object.values(RUNTIMES).map(({ package: name, version, sha256 }) => ({
        type: "platform",
        ...identity(name, version),
        hashes: [{ alg: "SHA-256", content: sha256 }],
        ...licensed("MIT"),
      })),
      ...components.map(({ name, version, license, sha512 }) => ({
        type: "library",
        ...identity(name, version),
        ...(sha512 && { hashes: [{ alg: "SHA-512", content: sha512 }] }),
        ...licensed(license),
      })),
    ],
  };
}

/** The namespace of a package is a part of its own in a package URL, its `@` is not a version's. */
function identity(name: string, version: string): object {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return { "bom-ref": purl, name, version, purl };
}

function licensed(expression: string): object {
  return { licenses: [{ expression }] };
}

/** Who has rights in what is in the executable, with the texts that have to go with it. */
export function licencesText(
  { version, components }: Pick<Release, "version" | "components">,
  runtimeLicence: string,
): string {
  const { package: name, version: runtimeVersion } = RUNTIMES.x64;
  const parts = [
    { title: `${name} ${runtimeVersion}, the runtime: MIT`, texts: [runtimeLicence] },
    ...components.map(({ name, version, license, texts }) => (
      { title: `${name} ${version}: ${license}`, texts }
    )),
  ];
  const sections = parts.map(({ title, texts }) =>
    `## ${title}\n\n${texts.map(indented).join("\n\n")}\n`
  );
  return `# Licences of what is in vipd ${version}\n\nvipd itself: Apache-2.0. The runtime contains ` +
    `further parts, among them V8; its\nrepository, https://github.com/denoland/deno, names them.` +
    `\n\n${sections.join("\n")}`;
}

function indented(text: string): string {
  return text.trim().replace(/^(?=.*\S)/gm, "    ").replaceAll(/[ \t]+$/gm, "");
}

/** The section of one version, without its heading. */
export function changelogSection(text: string, version: string): string {
  const sections = text.split(/^## /m);
  const section = sections.find((part) => part.split("\n")[0]?.trim() === version);
  if (section === undefined) throw new Error(`CHANGELOG.md has no section ${version}`);
  return section.slice(section.indexOf("\n")).trim();
}
