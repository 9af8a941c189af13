import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { packMap, sourceName } from "./bundle.ts";
import { addCodeSegment, decodeElf, segmentAddress } from "./elf.ts";
import { concat, encodeLauncher } from "./launcher.ts";
import { decodePayload, encodePayload } from "./payload.ts";

const LITTLE_ENDIAN = true;

/** An ELF header and two program headers: PT_LOAD at 0x1000 of 0x234 bytes, PT_NOTE. */
function tinyElf(machine: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(64 + 2 * 56);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, LITTLE_ENDIAN);
  view.setBigUint64(24, 0x1100n, LITTLE_ENDIAN);
  view.setBigUint64(32, 64n, LITTLE_ENDIAN);
  view.setUint16(54, 56, LITTLE_ENDIAN);
  view.setUint16(56, 2, LITTLE_ENDIAN);
  view.setUint32(64, 1, LITTLE_ENDIAN);
  view.setBigUint64(64 + 16, 0x1000n, LITTLE_ENDIAN);
  view.setBigUint64(64 + 40, 0x234n, LITTLE_ENDIAN);
  view.setUint32(64 + 56, 4, LITTLE_ENDIAN);
  return file;
}

for (const [number, machine] of [[62, "x64"], [183, "arm64"]] as const) {
  Deno.test(`decodeElf() reads entry, end and note header for ${machine}`, () => {
    const facts = decodeElf(tinyElf(number));
    assert.deepEqual(facts, { machine, entry: 0x1100, noteHeader: 64 + 56, end: 0x1234 });
    assert.equal(segmentAddress(facts), 0x10000);
  });
}

Deno.test("addCodeSegment() maps the code behind everything and enters it", () => {
  const code = Uint8Array.of(1, 2, 3);
  const patched = addCodeSegment(tinyElf(62), code);
  const view = new DataView(patched.buffer);
  assert.equal(view.getBigUint64(24, LITTLE_ENDIAN), 0x10000n);
  assert.equal(view.getUint32(64 + 56, LITTLE_ENDIAN), 1);
  const offset = Number(view.getBigUint64(64 + 56 + 8, LITTLE_ENDIAN));
  assert.deepEqual(patched.subarray(offset, offset + 3), code);
});

const NO_ELF = [
  ["text", new TextEncoder().encode("#!/bin/sh\n".repeat(20))],
  ["nothing", new Uint8Array()],
  ["a machine nobody knows", tinyElf(8)],
] as const;
for (const [what, bytes] of NO_ELF) {
  Deno.test(`decodeElf() refuses ${what}`, () => {
    assert.throws(() => decodeElf(bytes), /Cannot read ELF/);
  });
}

Deno.test("encodeLauncher() keeps the number of words even, so that the stack stays aligned", () => {
  const place = { machine: "x64", address: 0x10000, entry: 0x1100, environSlot: 0x2000 } as const;
  const odd = encodeLauncher({ args: ["run", "x"], env: ["PATH=a"] }, place);
  const even = encodeLauncher({ args: ["run", "x"], env: ["PATH=a", "B=2"] }, place);
  assert.match(new TextDecoder("latin1").decode(odd), /run\0x\0PATH=a\0VIPD_LAUNCHER=1\0$/);
  assert.match(new TextDecoder("latin1").decode(even), /run\0x\0PATH=a\0B=2\0$/);
});

Deno.test("decodePayload() gives back what encodePayload() appended", () => {
  const program = { code: Uint8Array.of(1, 2, 3, 4), map: Uint8Array.of(9, 8) };
  const file = concat([new Uint8Array(100), encodePayload(program)]);
  assert.deepEqual(decodePayload(file), program);
});

Deno.test("decodePayload() refuses a file without a trailer, and one that was cut", () => {
  assert.throws(() => decodePayload(new Uint8Array(100)), /no trailer/);
  const cut = encodePayload({ code: new Uint8Array(50), map: new Uint8Array(5) }).slice(40);
  assert.throws(() => decodePayload(cut), /cut short/);
});

const SOURCES = [
  ["../../work/main/src/model/ip.ts", "src/model/ip.ts"],
  [
    "../../root/.cache/deno/npm/registry.npmjs.org/yaml/2.9.1/dist/x.js",
    "npm:yaml/2.9.1/dist/x.js",
  ],
] as const;
for (const [path, want] of SOURCES) {
  Deno.test(`sourceName() of ${path}`, () => assert.equal(sourceName(path), want));
}

Deno.test("packMap() drops the text of the sources and names no directory of this machine", () => {
  const packed = packMap(JSON.stringify({
    version: 3,
    sources: ["../../home/me/vipd/src/main.ts"],
    sourcesContent: ["secret"],
    names: [],
    mappings: "AAAA",
  }));
  const map = JSON.parse(gunzipSync(packed).toString());
  assert.deepEqual(map, { version: 3, sources: ["src/main.ts"], names: [], mappings: "AAAA" });
});
