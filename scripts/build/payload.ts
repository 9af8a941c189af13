/**
 * The program inside of the executable: bundled JavaScript at the end of the file, found by a
 * trailer of 16 bytes, and the few lines that load it.
 *
 * @module
 */

import { concat } from "./launcher.ts";

const LITTLE_ENDIAN = true;

const MAGIC = "VIPDJS01";

/** The bundle and its trailer: its length (u64, little-endian) and eight letters. */
export function encodePayload(bundle: Uint8Array): Uint8Array<ArrayBuffer> {
  const trailer = new Uint8Array(16);
  new DataView(trailer.buffer).setBigUint64(0, BigInt(bundle.length), LITTLE_ENDIAN);
  trailer.set(new TextEncoder().encode(MAGIC), 8);
  return concat([bundle, trailer]);
}

/** The bundle of an executable. Throws SyntaxError when there is none. */
export function decodePayload(file: Uint8Array): Uint8Array {
  const trailer = file.subarray(-16);
  if (file.length < 16 || new TextDecoder().decode(trailer.subarray(8)) !== MAGIC) {
    throw new SyntaxError("Cannot find the program: no trailer at the end of the file");
  }
  const view = new DataView(trailer.buffer, trailer.byteOffset, 16);
  const length = Number(view.getBigUint64(0, LITTLE_ENDIAN));
  if (length > file.length - 16) throw new SyntaxError("Cannot find the program: file cut short");
  return file.subarray(file.length - 16 - length, file.length - 16);
}

/**
 * The module the runtime starts with, as a data: URL. It reads the bundle from the end of its own
 * executable and runs it under a file: URL, which `createRequire(import.meta.url)` and stack
 * traces need.
 */
export function bootstrapUrl(): string {
  return `data:application/javascript;base64,${btoa(BOOTSTRAP)}`;
}

const BOOTSTRAP = `
import { registerHooks } from "node:module";
const url = "file:///vipd.js";
const file = Deno.openSync(Deno.execPath());
const read = (buffer) => {
  for (let at = 0; at < buffer.length;) {
    const n = file.readSync(buffer.subarray(at));
    if (n === null) throw new Error("vipd: the executable is cut short");
    at += n;
  }
  return buffer;
};
file.seekSync(-16, Deno.SeekMode.End);
const trailer = read(new Uint8Array(16));
const length = Number(new DataView(trailer.buffer).getBigUint64(0, true));
file.seekSync(-16 - length, Deno.SeekMode.End);
const source = new TextDecoder().decode(read(new Uint8Array(length)));
file.close();
registerHooks({
  load: (wanted, context, next) =>
    wanted === url ? { format: "module", source, shortCircuit: true } : next(wanted, context),
});
const { main } = await import(url);
await main(Deno.args);
`;
