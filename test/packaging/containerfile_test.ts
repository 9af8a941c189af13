/**
 * The Containerfile makes the files that scripts/image.ts makes. Without an engine: its RUN
 * instructions run in a throw-away copy of this Debian 12. Needs root, overlayfs, Debian's mirror,
 * and dist/vipd (`deno task build`).
 *
 *     deno test -A test/packaging/containerfile_test.ts
 *
 * @module
 */

import assert from "node:assert/strict";
import { makeRoot } from "../../scripts/image.ts";
import { VIPD_VERSION } from "../../src/cli/version.ts";
import { ended } from "../support/process.ts";

const CONTAINERFILE = new URL("../../Containerfile", import.meta.url);
const PROGRAM = "usr/sbin/vipd";
const OWN_PAPERS = "usr/share/doc/vipd";

/** Path, kind and mode of everything; sizes of files, targets of links. */
const LIST =
  `find . -mindepth 1 \\( -type f -printf '%P %y %m %s\\n' -o -printf '%P %y %m %l\\n' \\)`;

/** What is written here goes with the mount namespace. */
const THROW_AWAY = `
mount -t tmpfs tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
mount -t proc proc "$0/root/proc"
mount --bind /dev "$0/root/dev"
mount -t tmpfs tmpfs "$0/root/tmp"
exec chroot "$0/root" sh -e
`;

interface Instruction {
  readonly name: string;
  readonly text: string;
}

function parseInstructions(text: string): readonly Instruction[] {
  const lines = text.replaceAll(/^#.*\n/gm, "").replaceAll(/\\\n/g, " ").split("\n");
  return lines.filter((line) => line !== "").map((line) => {
    const [name = "", ...words] = line.split(/ +/);
    return { name, text: words.join(" ") };
  });
}

async function passes(
  [command = "", ...args]: readonly string[],
  settings: { readonly stdin?: string; readonly cwd?: string },
): Promise<string> {
  const { code, stdout, stderr } = await ended([command, ...args], {
    ...settings,
    timeoutMs: 180_000,
  });
  assert.equal(code, 0, stderr);
  return stdout;
}

async function listed(directory: string): Promise<readonly string[]> {
  const text = await passes(["sh", "-ec", LIST], { cwd: directory });
  const isCopied = (line: string) => [`${PROGRAM} `, OWN_PAPERS].some((is) => line.startsWith(is));
  return text.trimEnd().split("\n").filter((line) => !isCopied(line)).sort();
}

Deno.test("the Containerfile makes the files of the image", async () => {
  const directory = await Deno.makeTempDir({ prefix: "vipd-engine-" });
  try {
    const [root, engine] = [`${directory}/root`, `${directory}/engine`];
    for (const path of [root, engine]) await Deno.mkdir(path);
    await makeRoot(root);
    const instructions = parseInstructions(await Deno.readTextFile(CONTAINERFILE));
    const commands = instructions.filter(({ name }) => name === "RUN").map(({ text }) => text);
    assert.ok(commands.length > 0);
    const script = [...commands.map((text) => `( ${text} ) >&2`), "cd /image", LIST].join("\n");
    const made = await passes(
      ["unshare", "--mount", "sh", "-ec", THROW_AWAY, engine],
      { stdin: script },
    );
    assert.deepEqual(made.trimEnd().split("\n").sort(), await listed(root));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the Containerfile adds the program of this version, its licences, and nothing else", async () => {
  const instructions = parseInstructions(await Deno.readTextFile(CONTAINERFILE));
  const last = instructions.findLastIndex(({ name }) => name === "FROM");
  assert.deepEqual(instructions.slice(last).map(({ name, text }) => `${name} ${text}`), [
    "FROM scratch",
    "COPY --from=packages /image /",
    `COPY --chmod=755 dist/vipd /${PROGRAM}`,
    `COPY dist/release/LICENSES.md /${OWN_PAPERS}/copyright`,
    "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    `LABEL org.opencontainers.image.version=${VIPD_VERSION}`,
    'ENTRYPOINT ["/usr/sbin/vipd"]',
  ]);
});
