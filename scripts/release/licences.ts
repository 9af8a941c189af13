/**
 * The licences of everything in an executable, as they go with each of its packages.
 *
 * @module
 */

import { VIPD_VERSION } from "../../src/cli/version.ts";
import type { Component } from "./components.ts";
import { licencesText } from "./papers.ts";

const RUNTIME_LICENCE = "packaging/licenses/deno.txt";

/** Those of vipd, the runtime and the packages, in full. */
export async function licencesOf(components: readonly Component[]): Promise<string> {
  const runtime = await Deno.readTextFile(RUNTIME_LICENCE);
  return licencesText({ version: VIPD_VERSION, components }, runtime);
}
