/**
 * The first module of an executable, in JavaScript, for both ways of building one: how failures are
 * told is the same, where the program is found differs.
 *
 * @module
 */

/** `launched`: from the end of the own file. `compiled`: from the files inside of it. */
export type BootstrapKind = "launched" | "compiled";

/** The text of the module. */
export async function readBootstrap(kind: BootstrapKind): Promise<string> {
  const parts = await Promise.all(
    ["failure.js", `${kind}.js`].map((name) => Deno.readTextFile(new URL(name, import.meta.url))),
  );
  return parts.join("");
}
