// The first module of a vipd executable. It reads the program from the end of its own file and
// runs it under a file: URL, which createRequire(import.meta.url) and stack traces need. The source
// map is read only when the program fails, so that a healthy one does not pay for it.
import { registerHooks, SourceMap } from "node:module";
import { gunzipSync } from "node:zlib";

const PROGRAM = "file:///vipd.js";
const TRAILER_SIZE = 24;
const LITTLE_ENDIAN = true;
const executable = Deno.execPath();

function read(fromEnd, length) {
  const file = Deno.openSync(executable);
  try {
    file.seekSync(-fromEnd, Deno.SeekMode.End);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = file.readSync(bytes.subarray(at));
      if (count === null) throw new Error(`${executable} is cut short`);
      at += count;
    }
    return bytes;
  } finally {
    file.close();
  }
}

function lengths() {
  const view = new DataView(read(TRAILER_SIZE, TRAILER_SIZE).buffer);
  return {
    map: Number(view.getBigUint64(0, LITTLE_ENDIAN)),
    code: Number(view.getBigUint64(8, LITTLE_ENDIAN)),
  };
}

function readMap() {
  const { map, code } = lengths();
  const packed = read(TRAILER_SIZE + code + map, map);
  return new SourceMap(JSON.parse(gunzipSync(packed).toString()));
}

function stackOf(error) {
  if (!(error instanceof Error)) return String(error);
  const map = readMap();
  const lines = (error.stack ?? "").replaceAll(
    /file:\/\/\/vipd\.js:(\d+):(\d+)/g,
    (at, line, column) => {
      const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
      if (entry.originalSource === undefined) return at;
      return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    },
  );
  return error.cause === undefined ? lines : `${lines}\nCaused by: ${stackOf(error.cause)}`;
}

function fail(error) {
  Deno.stderr.writeSync(new TextEncoder().encode(`${stackOf(error)}\n`));
  Deno.exit(1);
}

globalThis.addEventListener("error", (event) => fail(event.error));
globalThis.addEventListener("unhandledrejection", (event) => fail(event.reason));

const { code } = lengths();
const source = new TextDecoder().decode(read(TRAILER_SIZE + code, code));
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
