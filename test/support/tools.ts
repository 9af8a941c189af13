/**
 * Which tools a program under test finds: directories put in front of PATH.
 *
 * @module
 */

const LEGACY_MULTI = "/usr/sbin/xtables-legacy-multi";
const LEGACY_TOOLS = ["iptables", "ip6tables"].flatMap((tool) =>
  ["", "-save", "-restore"].map((suffix) => `${tool}${suffix}`)
);

/** Makes `iptables` and its kin the legacy ones. Returns the PATH to use. */
export async function legacyIptablesPath(directory: string): Promise<string> {
  await Deno.stat(LEGACY_MULTI); // fails loudly
  await Deno.mkdir(directory, { recursive: true });
  for (const tool of LEGACY_TOOLS) await Deno.symlink(LEGACY_MULTI, `${directory}/${tool}`);
  return pathStartingWith(directory);
}

/** Puts a shell script in front of a tool; `$REAL` in it is the real one. Returns the PATH. */
export async function shimPath(
  directory: string,
  scripts: Readonly<Record<string, string>>,
): Promise<string> {
  await Deno.mkdir(directory, { recursive: true });
  for (const [tool, script] of Object.entries(scripts)) {
    const text = `#!/bin/sh\nREAL=${await locate(tool)}\n${script}\n`;
    // Renamed into place: a file that is open for writing cannot be executed.
    await Deno.writeTextFile(`${directory}/.${tool}`, text, { mode: 0o755 });
    await Deno.rename(`${directory}/.${tool}`, `${directory}/${tool}`);
  }
  return pathStartingWith(directory);
}

function pathStartingWith(directory: string): string {
  return `${directory}:${Deno.env.get("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"}`;
}

async function locate(tool: string): Promise<string> {
  for (const directory of ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]) {
    try {
      await Deno.stat(`${directory}/${tool}`);
      return `${directory}/${tool}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`Cannot find ${tool}`);
}
