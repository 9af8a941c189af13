/**
 * The release: made by its task, its checksums hold for sha256sum, its bill of materials for the
 * schema of CycloneDX, and every package in the bill has its licence in full. Needs dist/vipd (`deno
 * task build`), node, npm and its registry.
 *
 *     deno test -A test/packaging/release_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { ended } from "../support/process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const RELEASE = `${ROOT}dist/release`;

const VALIDATOR = `
import { readFileSync } from "node:fs";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
const problems = await validator.validate(readFileSync(process.argv[2], "utf8"));
console.log(JSON.stringify(problems));
`;
const PACKAGES = [
  "@cyclonedx/cyclonedx-library@10",
  "ajv@8",
  "ajv-formats@3",
  "ajv-formats-draft2019@1",
];

async function passes(command: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await ended(command, { cwd, timeoutMs: 120_000 });
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

Deno.test.beforeAll(async () => {
  const told = await passes([Deno.execPath(), "task", "release"], ROOT);
  assert.match(told, /no advisories|not audited/);
});

Deno.test("sha256sum agrees with every file of the release, and there is no other", async () => {
  const told = await passes(["sha256sum", "--check", "--strict", "SHA256SUMS"], RELEASE);
  const listed = told.trim().split("\n").map((line) => line.replace(/: OK$/, ""));
  const names = await Array.fromAsync(Deno.readDir(RELEASE), ({ name }) => name);
  assert.deepEqual([...listed, "SHA256SUMS"].sort(), names.sort());
  for (const name of ["vipd", "vipd.cdx.json", "LICENSES.md", "NOTES.md"]) {
    assert.ok(listed.includes(name), name);
  }
});

Deno.test("the bill of materials is what the schema of CycloneDX 1.6 asks for", async () => {
  const project = await Deno.makeTempDir({ prefix: "vipd-bill-" });
  try {
    await Deno.writeTextFile(`${project}/package.json`, '{"type":"module"}');
    await Deno.writeTextFile(`${project}/validate.js`, VALIDATOR);
    await passes(["npm", "install", "--silent", "--no-audit", "--no-fund", ...PACKAGES], project);
    const validate = async (file: string) =>
      JSON.parse(await passes(["node", "validate.js", file], project));
    assert.equal(await validate(`${RELEASE}/vipd.cdx.json`), null);
    const bill = JSON.parse(await Deno.readTextFile(`${RELEASE}/vipd.cdx.json`));
    bill.components[0].type = "thing";
    await Deno.writeTextFile(`${project}/wrong.json`, JSON.stringify(bill));
    assert.notEqual(await validate(`${project}/wrong.json`), null);
  } finally {
    await Deno.remove(project, { recursive: true });
  }
});

Deno.test("every package in the bill has a hash and its licence in full", async () => {
  const { components } = JSON.parse(await Deno.readTextFile(`${RELEASE}/vipd.cdx.json`));
  const licences = await Deno.readTextFile(`${RELEASE}/LICENSES.md`);
  const libraries = components.filter(({ type }: { type: string }) => type === "library");
  assert.ok(libraries.length > 3);
  for (const { name, version, hashes, licenses } of libraries) {
    assert.match(hashes[0].content, /^[0-9a-f]{128}$/, name);
    const heading = `\n## ${name} ${version}: ${licenses[0].expression}\n`;
    const section = licences.split(heading)[1]?.split("\n## ")[0] ?? "";
    assert.match(section, /copyright/i, name);
  }
});
