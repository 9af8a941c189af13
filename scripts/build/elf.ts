/**
 * One change to an ELF file: a code segment behind all others, and the entry point in it.
 *
 * PT_NOTE carries only remarks for tools, so its program header is the one that can be given up
 * for a further PT_LOAD without moving anything. See elf(5).
 *
 * @module
 */

import type { Machine } from "./launcher.ts";

const LITTLE_ENDIAN = true;

/** What must be known of an executable before a segment can be added. */
export interface ElfFacts {
  readonly machine: Machine;
  readonly entry: number;
  /** Offset of the program header that is given up. */
  readonly noteHeader: number;
  /** First free virtual address behind all segments. */
  readonly end: number;
}

const PT_LOAD = 1;
const PT_NOTE = 4;
const MACHINES: Record<number, Machine> = { 62: "x64", 183: "arm64" };
/** The largest page size of both machines: a segment aligned to it can be mapped anywhere. */
const ALIGNMENT = 0x10000;

/**
 * Reads the headers.
 *
 * @throws {SyntaxError} when the file is no 64-bit little-endian ELF with a PT_NOTE header.
 */
export function decodeElf(file: Uint8Array): ElfFacts {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201) {
    throw new SyntaxError("Cannot read ELF: no 64-bit little-endian ELF file");
  }
  const machine = MACHINES[view.getUint16(18, LITTLE_ENDIAN)];
  if (machine === undefined) throw new SyntaxError("Cannot read ELF: unknown machine");
  const headers = programHeaders(view);
  const note = headers.find(({ type }) => type === PT_NOTE);
  if (note === undefined) throw new SyntaxError("Cannot read ELF: no PT_NOTE program header");
  const ends = headers.filter(({ type }) => type === PT_LOAD).map((h) => h.address + h.size);
  return {
    machine,
    entry: Number(view.getBigUint64(24, LITTLE_ENDIAN)),
    noteHeader: note.offset,
    end: Math.max(...ends),
  };
}

/** Where a segment that follows everything would be mapped. */
export function segmentAddress(facts: ElfFacts): number {
  return align(facts.end);
}

/** The file with `code` mapped at {@linkcode segmentAddress} and entered there. */
export function addCodeSegment(file: Uint8Array, code: Uint8Array): Uint8Array<ArrayBuffer> {
  const facts = decodeElf(file);
  const offset = align(file.length);
  const patched = new Uint8Array(offset + code.length);
  patched.set(file);
  patched.set(code, offset);
  const view = new DataView(patched.buffer);
  const address = segmentAddress(facts);
  view.setBigUint64(24, BigInt(address), LITTLE_ENDIAN);
  view.setUint32(facts.noteHeader, PT_LOAD, LITTLE_ENDIAN);
  view.setUint32(facts.noteHeader + 4, 5, LITTLE_ENDIAN); // PF_R | PF_X
  const fields = [offset, address, address, code.length, code.length, ALIGNMENT];
  fields.forEach((value, i) =>
    view.setBigUint64(facts.noteHeader + 8 + 8 * i, BigInt(value), LITTLE_ENDIAN)
  );
  return patched;
}

interface ProgramHeader {
  readonly offset: number;
  readonly type: number;
  readonly address: number;
  readonly size: number;
}

function programHeaders(view: DataView): readonly ProgramHeader[] {
  const start = Number(view.getBigUint64(32, LITTLE_ENDIAN));
  const [entrySize, count] = [view.getUint16(54, LITTLE_ENDIAN), view.getUint16(56, LITTLE_ENDIAN)];
  return Array.from({ length: count }, (_, i) => {
    const offset = start + i * entrySize;
    return {
      offset,
      type: view.getUint32(offset, LITTLE_ENDIAN),
      address: Number(view.getBigUint64(offset + 16, LITTLE_ENDIAN)),
      size: Number(view.getBigUint64(offset + 40, LITTLE_ENDIAN)),
    };
  });
}

function align(value: number): number {
  return Math.ceil(value / ALIGNMENT) * ALIGNMENT;
}
