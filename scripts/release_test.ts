import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { changelogSection, packagesIn } from "./release.ts";

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
