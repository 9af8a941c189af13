/**
 * The documents against what they are about: messages are those of the program, tasks and tests exist,
 * every command says which test runs it or why none does, and one version is named everywhere.
 *
 *     deno test -A test/packaging/docs_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { FLAGS } from "../../src/cli/flags.ts";
import { VIPD_VERSION } from "../../src/cli/version.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DOCUMENTS = [
  ...["README.md", "CONTRIBUTING.md", "docs/install.md", "docs/migrate.md"],
  ...["docs/troubleshooting.md", "docs/design.md"],
];

async function read(name: string): Promise<string> {
  return await Deno.readTextFile(`${ROOT}${name}`);
}

/** The text of all files of src/ that are no tests. */
async function sources(directory = "src"): Promise<string> {
  const texts = await Array.fromAsync(Deno.readDir(`${ROOT}${directory}`), (entry) => {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) return sources(path);
    return path.endsWith("_test.ts") ? "" : read(path);
  });
  return texts.join("\n");
}

/** Headings and what stands below each. */
function sections(text: string): readonly string[] {
  return text.split(/^(?=#+ (?!.*=))/m);
}

Deno.test("docs/troubleshooting.md quotes messages that the program has", async () => {
  const code = await sources();
  const rows = (await read("docs/troubleshooting.md")).split("\n")
    .filter((line) => line.startsWith("| "));
  const quoted = rows.flatMap((row) => /^\| `([A-Z][^`]* [^`]*)`/.exec(row)?.[1] ?? []);
  assert.ok(quoted.length > 5);
  for (const message of quoted) assert.ok(code.includes(message), message);
});

for (const name of DOCUMENTS) {
  Deno.test(`${name} names tests, files and tasks that exist`, async () => {
    const text = await read(name);
    const files = text.matchAll(/`((?:test|deploy|packaging|scripts|src|docs)\/[\w./-]+)`/g);
    for (const [, file] of files) await Deno.stat(`${ROOT}${file}`);
    const { tasks } = JSON.parse(await read("deno.json"));
    for (const [, task = ""] of text.matchAll(/\btask ([a-z][\w:]*)/g)) {
      assert.ok(task in tasks, `task ${task}`);
    }
  });

  Deno.test(`${name} says of every command which test runs it, or why none does`, async () => {
    for (const section of sections(await read(name))) {
      if (!section.includes("```sh")) continue;
      const isRun = /`test\/[\w/]+_test\.ts`|scripts\/test\.ts/.test(section);
      const isNotRun = /not\s+run\s+by\s+a\s+test/.test(section);
      assert.ok(isRun || isNotRun, section);
    }
  });

  Deno.test(`${name} uses flags that vipd has`, async () => {
    const names = new Set([...FLAGS.map(({ name }) => name), "check"]);
    const commands = (await read(name)).match(/^(?:sudo )?(?:dist\/)?vipd .*/gm) ?? [];
    for (const command of commands) {
      const words = command.replace(/#.*/, "").matchAll(/--([a-z-]+)/g);
      for (const [, flag = ""] of words) assert.ok(names.has(flag), command);
    }
  });
}

const VERSIONED = [
  ["deno.json", /"version": "(.*)"/],
  ["CHANGELOG.md", /^## (\d.*)$/m],
  ["deploy/base/vipd.yaml", /image: vipd:(.*)/],
  ["deploy/base/kustomization.yaml", /newTag: (.*)/],
  ["Containerfile", /--tag vipd:(\S+)/],
  ["docs/install.md", /vipd_([\d.]+)_amd64/],
] as const;
for (const [name, pattern] of VERSIONED) {
  Deno.test(`${name} names the version of the program`, async () => {
    assert.equal(pattern.exec(await read(name))?.[1], VIPD_VERSION);
  });
}
