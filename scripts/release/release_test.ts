import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import { isArtifact } from "../release.ts";
import { packagesIn } from "./components.ts";
import { billOfMaterials, changelogSection, licencesText } from "./papers.ts";

Deno.test("packagesIn() names each package once", () => {
  const sources = [
    "src/main.ts",
    "npm:yaml/2.9.1/a.js",
    "npm:yaml/2.9.1/b.js",
    "npm:@x/y/1.0.0/c.js",
  ];
  deepStrictEqual(packagesIn(sources), ["@x/y@1.0.0", "yaml@2.9.1"]);
});

const CHANGELOG = "# Changes\n\n## 0.2.0\n\n- b\n\n## 0.1.0\n\n- a\n";
Deno.test("changelogSection() is what stands below the version", () => {
  strictEqual(changelogSection(CHANGELOG, "0.2.0"), "- b");
  throws(() => changelogSection(CHANGELOG, "9.9.9"), /no section 9\.9\.9/);
});

const ARTIFACTS = [
  ["vipd", true],
  ["vipd-arm64", true],
  ["vipd.new", false],
  ["vipd_0.2.0_amd64.deb", true],
  ["vipd_0.1.0_amd64.deb", false],
  ["image.tar", true],
] as const;
for (const [name, want] of ARTIFACTS) {
  Deno.test(`isArtifact() of ${name} is ${want} for 0.2.0`, () => {
    strictEqual(isArtifact(name, "0.2.0"), want);
  });
}

const RELEASE = {
  version: "0.2.0",
  commit: "0".repeat(40),
  time: "2026-11-23T12:00:00+00:00",
  components: [
    { name: "@x/y", version: "1.0.0", license: "ISC", texts: ["Copyright X\n\nAll"], sha512: "ab" },
  ],
};

Deno.test("billOfMaterials() writes package URLs with the namespace apart", () => {
  match(JSON.stringify(billOfMaterials(RELEASE)), /"purl":"pkg:npm\/%40x\/y@1\.0\.0"/);
  match(JSON.stringify(billOfMaterials(RELEASE)), /"purl":"pkg:npm\/%40deno\/linux-x64-glibc@/);
});

Deno.test("licencesText() has the texts, not only the names", () => {
  const text = licencesText(RELEASE, "Copyright Deno");
  match(text, /\n## @x\/y 1\.0\.0: ISC\n\n {4}Copyright X\n\n {4}All\n/);
  match(text, /the runtime: MIT\n\n {4}Copyright Deno\n/);
});
