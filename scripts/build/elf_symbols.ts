/**
 * Where an executable keeps the address of a variable of a shared library: the place that a
 * GLOB_DAT relocation names, which the dynamic linker fills in before the entry point runs. See
 * elf(5) and the ABI supplements of both architectures.
 *
 * @module
 */

const LITTLE_ENDIAN = true;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const [DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ] = [5, 6, 7, 8];
const RELA_SIZE = 24;
const SYMBOL_SIZE = 24;
/** R_X86_64_GLOB_DAT, R_AARCH64_GLOB_DAT. */
const GLOB_DAT: readonly number[] = [6, 1025];

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/**
 * The virtual address of the slot for a symbol.
 *
 * @throws {SyntaxError} when the executable does not refer to it in this way.
 */
export function symbolSlot(file: Uint8Array, name: string): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const segments = segmentsOf(view);
  const tags = dynamicTags(view, segments);
  const at = (tag: number) => offsetOf(tags.get(tag) ?? 0, segments);
  const [relocations, symbols, strings] = [at(DT_RELA), at(DT_SYMTAB), at(DT_STRTAB)];
  const end = relocations + (tags.get(DT_RELASZ) ?? 0);
  const wanted = new TextEncoder().encode(`${name}\0`);
  for (let offset = relocations; offset < end; offset += RELA_SIZE) {
    if (!GLOB_DAT.includes(view.getUint32(offset + 8, LITTLE_ENDIAN))) continue;
    const symbol = symbols + SYMBOL_SIZE * view.getUint32(offset + 12, LITTLE_ENDIAN);
    const text = strings + view.getUint32(symbol, LITTLE_ENDIAN);
    if (wanted.every((byte, i) => file[text + i] === byte)) return readNumber(view, offset);
  }
  throw new SyntaxError(`Cannot read ELF: no GLOB_DAT relocation for ${name}`);
}

function segmentsOf(view: DataView): readonly Segment[] {
  const start = readNumber(view, 32);
  const [entrySize, count] = [view.getUint16(54, LITTLE_ENDIAN), view.getUint16(56, LITTLE_ENDIAN)];
  return Array.from({ length: count }, (_, i) => {
    const header = start + i * entrySize;
    return {
      type: view.getUint32(header, LITTLE_ENDIAN),
      offset: readNumber(view, header + 8),
      address: readNumber(view, header + 16),
      size: readNumber(view, header + 32),
    };
  });
}

function dynamicTags(view: DataView, segments: readonly Segment[]): ReadonlyMap<number, number> {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) throw new SyntaxError("Cannot read ELF: not linked dynamically");
  const tags = new Map<number, number>();
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    tags.set(readNumber(view, at), readNumber(view, at + 8));
  }
  return tags;
}

/** Where in the file an address is loaded from. */
function offsetOf(address: number, segments: readonly Segment[]): number {
  const segment = segments.find((s) =>
    s.type === PT_LOAD && address >= s.address && address < s.address + s.size
  );
  if (segment === undefined) throw new SyntaxError("Cannot read ELF: address outside of the file");
  return address - segment.address + segment.offset;
}

function readNumber(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, LITTLE_ENDIAN));
}
