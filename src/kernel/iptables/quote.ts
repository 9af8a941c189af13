/**
 * Text as an argument of an iptables rule, quoted as iptables-save prints it.
 *
 * Names of Kubernetes objects reach the rules through this function only, so none of them can end
 * an argument, a line, or a rule. Mirrors add_param_to_argv() and xtables_save_string() of
 * iptables 1.8.9.
 *
 * @module
 */

/** XT_MAX_COMMENT_LEN without the NUL at its end. Newer tools cut silently, older ones refuse. */
const COMMENT_BYTES = 255;

const encoder = new TextEncoder();

/** A `comment` match for any text. Longer than 255 bytes is cut between two characters. */
export function commentMatch(text: string): string {
  return `-m comment --comment ${quoteArgument(cutToBytes(printable(text), COMMENT_BYTES))}`;
}

/** One argument of a rule. A line break cannot be said in a rule, see {@linkcode printable}. */
export function quoteArgument(text: string): string {
  if (/^[-\w]+$/.test(text)) return text;
  return `"${text.replace(/["\\']/g, "\\$&")}"`;
}

/** Control characters, line breaks among them, become `?`; lone surrogates U+FFFD. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- these are the characters a rule cannot carry
  return text.replace(/[\u0000-\u001f\u007f]/g, "?").toWellFormed();
}

/** The longest prefix of whole characters that fits. */
export function cutToBytes(text: string, limit: number): string {
  if (text.length * 3 <= limit) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(limit));
  return text.slice(0, read);
}
