/**
 * The program inside of the executable, at the end of the file: packed source map, bundled
 * JavaScript, and a trailer of 24 bytes that says how long both are.
 *
 * @module
 */

import type { Bundle } from "./bundle.ts";
import { concat } from "./launcher.ts";

const LITTLE_ENDIAN = true;
const MAGIC = "VIPDJS01";
const TRAILER_SIZE = 24;

/** What is appended to the runtime. */
export function encodePayload({ code, map }: Bundle): Uint8Array<ArrayBuffer> {
  const trailer = new Uint8Array(TRAILER_SIZE);
  const view = new DataView(trailer.buffer);
  view.setBigUint64(0, BigInt(map.length), LITTLE_ENDIAN);
  view.setBigUint64(8, BigInt(code.length), LITTLE_ENDIAN);
  trailer.set(new TextEncoder().encode(MAGIC), 16);
  return concat([map, code, trailer]);
}

/**
 * The program of an executable.
 *
 * @throws {SyntaxError} when there is none or the file is cut short.
 */
export function decodePayload(file: Uint8Array<ArrayBuffer>): Bundle {
  const trailer = file.subarray(-TRAILER_SIZE);
  if (new TextDecoder().decode(trailer.subarray(16)) !== MAGIC) {
    throw new SyntaxError("Cannot find the program: no trailer at the end of the file");
  }
  const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_SIZE);
  const mapLength = Number(view.getBigUint64(0, LITTLE_ENDIAN));
  const codeLength = Number(view.getBigUint64(8, LITTLE_ENDIAN));
  const codeAt = file.length - TRAILER_SIZE - codeLength;
  if (codeAt < mapLength) throw new SyntaxError("Cannot find the program: file cut short");
  return {
    code: file.subarray(codeAt, codeAt + codeLength),
    map: file.subarray(codeAt - mapLength, codeAt),
  };
}
