/**
 * Durations as Go writes them: `1h2m3.5s`, `250ms`, `0`. Answers to Go's time.ParseDuration and
 * Duration.String.
 *
 * @module
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3, // U+00B5
  "μs": 1e-3, // U+03BC
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Go counts nanoseconds in 63 bits: about 292 years. */
const MAX_MS = 2 ** 63 / 1e6;

const PART = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/;

/**
 * Milliseconds of a Go duration.
 *
 * @throws {SyntaxError} when the text is none.
 */
export function parseDuration(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  let rest = text.replace(/^[-+]/, "");
  if (rest === "0") return 0;
  let ms = 0;
  do {
    const part = PART.exec(rest);
    if (part === null) throw invalid(text);
    const [whole, number = "", unit = ""] = part;
    ms += Number(number) * (UNIT_MS[unit] ?? NaN);
    rest = rest.slice(whole.length);
  } while (rest !== "");
  if (ms >= MAX_MS) throw invalid(text);
  return sign * Math.round(ms * 1e6) / 1e6; // whole nanoseconds
}

/** The text Go prints for a duration: `1h0m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms === 0) return "0s";
  if (ms < 1e-3) return `${trim(ms * 1e6)}ns`;
  if (ms < 1) return `${trim(ms * 1e3)}µs`;
  if (ms < 1_000) return `${trim(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = `${trim(ms % 60_000 / 1_000)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** At most nine digits after the point: the nanoseconds. */
function trim(value: number): string {
  return String(Number(value.toFixed(9)));
}

function invalid(text: string): SyntaxError {
  return new SyntaxError(`Cannot parse duration ${JSON.stringify(text)}`);
}
