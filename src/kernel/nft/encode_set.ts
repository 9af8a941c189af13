/**
 * Sets, maps and their elements as attributes.
 *
 * @module
 */

import type { MessageWriter } from "../netlink/writer.ts";
import type { AnonymousSet, RawElement } from "./anonymous.ts";
import {
  ELEM,
  ELEM_LIST,
  INTERVAL_END,
  LIST_ELEM,
  SET,
  SET_DESC_SIZE,
  SET_FLAG,
  TYPE_BITS,
  TYPE_NUMBER,
  TYPE_SIZE,
  VERDICT_TYPE,
} from "./constants.ts";
import { keyBytes, registerSize, writeValue, writeVerdict } from "./encode_data.ts";
import type { SetReference } from "./expressions.ts";
import { commentData, setData } from "./userdata.ts";
import type { Container, Element } from "./values.ts";

/** An attribute's length is 16 bits wide; longer lists of elements take several requests. */
const MAX_ELEMENT_BYTES = 60_000;

/** Writes a named set or map. */
export function writeSet(
  writer: MessageWriter,
  { table, set, id }: { readonly table: string; readonly set: Container; readonly id: number },
): void {
  const timeoutSeconds = set.kind === "set" ? set.timeoutSeconds : undefined;
  const isDynamic = timeoutSeconds !== undefined;
  writer.string(SET.TABLE, table);
  writer.string(SET.NAME, set.name);
  writer.be32(
    SET.FLAGS,
    (set.kind === "map" ? SET_FLAG.MAP : 0) | (isDynamic ? SET_FLAG.TIMEOUT | SET_FLAG.EVAL : 0),
  );
  writer.be32(SET.KEY_TYPE, set.type.reduce((bits, t) => bits << TYPE_BITS | TYPE_NUMBER[t], 0));
  writer.be32(SET.KEY_LEN, keyLength(set));
  if (set.kind === "map") {
    writer.be32(SET.DATA_TYPE, VERDICT_TYPE);
    writer.be32(SET.DATA_LEN, 0);
  }
  writer.be32(SET.ID, id);
  if (isDynamic) writer.be64(SET.TIMEOUT, BigInt(timeoutSeconds) * 1_000n);
  writer.bytes(SET.USERDATA, setData(set));
}

function keyLength({ type }: Container): number {
  const [only] = type;
  if (type.length === 1 && only !== undefined) return TYPE_SIZE[only];
  return type.reduce((sum, part) => sum + registerSize(part), 0);
}

/** Writes an anonymous set. */
export function writeAnonymousSet(
  writer: MessageWriter,
  { table, set, reference }: {
    readonly table: string;
    readonly set: AnonymousSet;
    readonly reference: SetReference;
  },
): void {
  writer.string(SET.TABLE, table);
  writer.string(SET.NAME, reference.name);
  writer.be32(SET.FLAGS, set.flags);
  writer.be32(SET.KEY_TYPE, set.keyType);
  writer.be32(SET.KEY_LEN, set.keyLength);
  if (set.data !== undefined) {
    writer.be32(SET.DATA_TYPE, set.data.type);
    writer.be32(SET.DATA_LEN, set.data.length);
  }
  writer.be32(SET.ID, reference.id);
  const mark = writer.open(SET.DESC);
  writer.be32(SET_DESC_SIZE, set.elements.length);
  writer.close(mark);
  writer.bytes(SET.USERDATA, set.userdata);
}

/** An element of a named set, for {@linkcode writeElements}. */
export function namedElement(
  { set, element }: { readonly set: Container; readonly element: Element },
): { readonly set: string; readonly elements: readonly RawElement[] } {
  const raw: RawElement = {
    key: keyBytes(set, element.key),
    ...(element.verdict !== undefined && { verdict: element.verdict }),
    ...(element.comment !== undefined && { userdata: commentData(element.comment) }),
  };
  return { set: set.name, elements: [raw] };
}

/** Writes elements of a set that is told by its name or by its id in the transaction. */
export function writeElements(
  writer: MessageWriter,
  { table, set, id, elements }: {
    readonly table: string;
    readonly set?: string;
    readonly id?: number;
    readonly elements: readonly RawElement[];
  },
): void {
  writer.string(ELEM_LIST.TABLE, table);
  if (set !== undefined) writer.string(ELEM_LIST.SET, set);
  if (id !== undefined) writer.be32(ELEM_LIST.SET_ID, id);
  const list = writer.open(ELEM_LIST.ELEMENTS);
  for (const element of elements) {
    const mark = writer.open(LIST_ELEM);
    if (element.isEnd) writer.be32(ELEM.FLAGS, INTERVAL_END);
    writeValue(writer, { type: ELEM.KEY, value: element.key });
    if (element.value !== undefined) writeValue(writer, { type: ELEM.DATA, value: element.value });
    if (element.verdict !== undefined) {
      writeVerdict(writer, { type: ELEM.DATA, verdict: element.verdict });
    }
    if (element.userdata !== undefined) writer.bytes(ELEM.USERDATA, element.userdata);
    writer.close(mark);
  }
  writer.close(list);
}

function* chunksOf(elements: readonly RawElement[]): Generator<readonly RawElement[]> {
  let chunk: RawElement[] = [];
  let bytes = 0;
  for (const element of elements) {
    const chain = element.verdict && "chain" in element.verdict ? element.verdict.chain.length : 0;
    const size = 48 + element.key.length + (element.value?.length ?? 0) + chain;
    if (bytes + size > MAX_ELEMENT_BYTES) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(element);
    bytes += size;
  }
  yield chunk;
}

/** Elements in runs that fit into one attribute. */
export function elementChunks(elements: readonly RawElement[]): readonly (readonly RawElement[])[] {
  return [...chunksOf(elements)];
}
