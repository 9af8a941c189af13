// The first module of an executable with a launcher. It reads the program from the end of its own
// file and runs it under a file: URL, which createRequire(import.meta.url) and stack traces need.
import { registerHooks } from "node:module";

const PROGRAM = "file:///vipd.js";
const TRAILER_SIZE = 24;
const LITTLE_ENDIAN = true;
// Stays open: an upgrade may put another file in the place of this one while it runs.
const file = Deno.openSync(Deno.execPath());

function read(fromEnd, length) {
  file.seekSync(-fromEnd, Deno.SeekMode.End);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = file.readSync(bytes.subarray(at));
    if (count === null) throw new Error(`${Deno.execPath()} is cut short`);
    at += count;
  }
  return bytes;
}

const trailer = new DataView(read(TRAILER_SIZE, TRAILER_SIZE).buffer);
const mapLength = Number(trailer.getBigUint64(0, LITTLE_ENDIAN));
const codeLength = Number(trailer.getBigUint64(8, LITTLE_ENDIAN));
const fail = reportFailures(() => read(TRAILER_SIZE + codeLength + mapLength, mapLength));
const source = new TextDecoder().decode(read(TRAILER_SIZE + codeLength, codeLength));
registerHooks({
  load: (url, context, next) =>
    url === PROGRAM ? { format: "module", source, shortCircuit: true } : next(url, context),
});
try {
  const { main } = await import(PROGRAM);
  Deno.exit(await main(Deno.args));
} catch (error) {
  fail(error);
}
