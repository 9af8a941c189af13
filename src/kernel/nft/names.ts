/**
 * What may stand in nft's language where a name or a remark stands.
 *
 * nft 1.0.6 has no way to quote a chain or set name, and no way to escape a quote in a string: what
 * would need it is refused here, so that no name of an object can become a command.
 *
 * @module
 */

/** NFT_NAME_MAXLEN of the kernel, without the NUL. */
const MAX_NAME_BYTES = 255;

/** NFTNL_UDATA_COMMENT_MAXLEN of nft. */
const MAX_COMMENT_BYTES = 128;

/** The lexer's string: a letter, then these. All of them take one byte. */
const NAME = /^[A-Za-z][A-Za-z0-9/_.\-]*$/;

/** IFNAMSIZ, without the NUL. */
const MAX_INTERFACE_BYTES = 15;

/** Whether nft takes the text as the name of a chain, set or map. */
export function isName(text: string): boolean {
  return NAME.test(text) && text.length <= MAX_NAME_BYTES;
}

/**
 * The name, if nft can say it.
 *
 * @throws {RangeError} when it cannot.
 */
export function checkedName(name: string): string {
  if (isName(name)) return name;
  throw new RangeError(`nft cannot say the name ${JSON.stringify(name)}`);
}

/**
 * The text in quotes.
 *
 * @throws {RangeError} when nft cannot say it: a quote, a backslash, a control character, more than
 * 128 bytes.
 */
export function quotedComment(text: string): string {
  return quoted(text, MAX_COMMENT_BYTES);
}

/**
 * The name of an interface in quotes; `*` at its end would match any name that begins so.
 *
 * @throws {RangeError} when nft cannot say it.
 */
export function quotedInterface(text: string): string {
  if (text === "" || text.includes("*")) {
    throw new RangeError(`nft cannot say the interface name ${JSON.stringify(text)}`);
  }
  return quoted(text, MAX_INTERFACE_BYTES);
}

/** The text without its end, if it is longer than nft's limit for comments; characters stay whole. */
export function cutComment(text: string): string {
  const bytes = encoder.encode(text);
  if (bytes.length <= MAX_COMMENT_BYTES) return text;
  let end = MAX_COMMENT_BYTES;
  // A byte 10xxxxxx continues a character that began before the cut.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return decoder.decode(bytes.subarray(0, end));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function quoted(text: string, maxBytes: number): string {
  // deno-lint-ignore no-control-regex
  if (/["\\\u0000-\u001f\u007f]/.test(text) || encoder.encode(text).length > maxBytes) {
    throw new RangeError(`nft cannot say the text ${JSON.stringify(text)}`);
  }
  return `"${text}"`;
}
