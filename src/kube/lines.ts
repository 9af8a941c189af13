/**
 * A byte stream as lines of text: how watch events travel. Only the line in hand is kept.
 *
 * @module
 */

const NEWLINE = 10;

/** No event is this long; a server that never ends a line must not fill the memory. */
const MAX_LINE_BYTES = 64 << 20;

/**
 * The lines of a stream, without line ends and without empty ones. What comes after the last line
 * end is a line too, maybe a torn one.
 *
 * @throws {RangeError} when a line is longer than 64 MiB.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pieces: Uint8Array[] = [];
  let length = 0;
  const takeLine = (last: Uint8Array): string => {
    const line = decoder.decode(pieces.length === 0 ? last : concat([...pieces, last]));
    pieces = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = takeLine(chunk.subarray(start, end));
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    pieces.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > MAX_LINE_BYTES) throw new RangeError("Cannot read a line longer than 64 MiB");
  }
  const rest = takeLine(new Uint8Array());
  if (rest.trim() !== "") yield rest;
}

/** The whole stream as text. */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  const texts: string[] = [];
  for await (const chunk of chunks) texts.push(decoder.decode(chunk, { stream: true }));
  return texts.join("") + decoder.decode();
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}
