// First part of both bootstraps: tells where the program failed, in its sources. The source map is
// read only then, so that a healthy program does not pay for it.
import { SourceMap } from "node:module";
import { gunzipSync } from "node:zlib";

/** Reports what nobody caught, and what is given to the function it returns; both end the process. */
export function reportFailures(readPackedMap) {
  const fail = (error) => {
    try {
      Deno.stderr.writeSync(new TextEncoder().encode(`${described(error, readPackedMap)}\n`));
    } finally {
      Deno.exit(1);
    }
  };
  globalThis.addEventListener("error", (event) => fail(event.error));
  globalThis.addEventListener("unhandledrejection", (event) => fail(event.reason));
  return fail;
}

function described(error, readPackedMap) {
  if (!(error instanceof Error)) return String(error);
  try {
    return stackOf(error, new SourceMap(JSON.parse(gunzipSync(readPackedMap()).toString())));
  } catch (cause) {
    // The failure itself must not get lost because its place cannot be told.
    return `${error.stack}\n(places are those of the bundle: ${cause.message})`;
  }
}

function stackOf(error, map) {
  if (!(error instanceof Error)) return String(error);
  const lines = (error.stack ?? "").replaceAll(
    /file:\/\/\/(?:[^\s()]*\/)?vipd\.js:(\d+):(\d+)/g,
    (at, line, column) => {
      const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
      if (entry.originalSource === undefined) return at;
      return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
    },
  );
  return error.cause === undefined ? lines : `${lines}\nCaused by: ${stackOf(error.cause, map)}`;
}
