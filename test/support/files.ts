/**
 * Files that may not be there.
 *
 * @module
 */

/** The text of a file; "" when there is none. */
export async function readIfThere(path: string | URL): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
