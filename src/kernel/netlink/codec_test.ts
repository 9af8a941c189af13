import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { Attributes, decodeAttributes } from "./attributes.ts";
import { HEADER_SIZE, NLM_F_ACK_TLVS, NLM_F_CAPPED } from "./constants.ts";
import { decodeAcknowledgement, decodeDone, decodeMessages } from "./message.ts";
import { MessageWriter } from "./writer.ts";

const HEADER = { type: 18, flags: 5, sequence: 7 };

function written(body: (writer: MessageWriter) => void): Uint8Array {
  const writer = new MessageWriter();
  const mark = writer.beginMessage(HEADER);
  body(writer);
  writer.endMessage(mark);
  return writer.written().slice();
}

Deno.test("MessageWriter lays out a message as struct nlmsghdr, values padded to 4 bytes", () => {
  const bytes = written((w) => {
    w.u8(1, 0xab);
    w.u16(2, 0x1234);
    w.be16(3, 0x1234);
    w.string(4, "lo");
    w.flag(5);
  });
  // Little-endian, as every machine Deno runs on.
  const want = [
    ...[52, 0, 0, 0, 18, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0],
    ...[5, 0, 1, 0, 0xab, 0, 0, 0],
    ...[6, 0, 2, 0, 0x34, 0x12, 0, 0],
    ...[6, 0, 3, 0, 0x12, 0x34, 0, 0],
    ...[7, 0, 4, 0, 0x6c, 0x6f, 0, 0],
    ...[4, 0, 5, 0],
  ];
  deepStrictEqual([...bytes], want);
});

Deno.test("Attributes reads back what MessageWriter wrote, nested and of every width", () => {
  const bytes = written((w) => {
    w.u8(1, 255);
    w.u16(2, 65535);
    w.u32(3, 0xffffffff);
    w.u64(4, 0xffffffffffffffffn);
    w.be16(5, 1);
    w.be32(6, 0x80000001);
    w.be64(7, 2n ** 40n);
    w.string(8, "Größe");
    w.bytes(9, Uint8Array.of(1, 2, 3));
    const mark = w.open(10);
    w.u32(1, 1);
    w.u32(1, 2);
    w.close(mark);
  });
  const message = decodeMessages(bytes)[0];
  deepStrictEqual([message?.type, message?.flags, message?.sequence], [18, 5, 7]);
  const attributes = new Attributes(message?.payload ?? new Uint8Array());
  strictEqual(attributes.u8(1), 255);
  strictEqual(attributes.u16(2), 65535);
  strictEqual(attributes.u32(3), 0xffffffff);
  strictEqual(attributes.u64(4), 0xffffffffffffffffn);
  strictEqual(attributes.be16(5), 1);
  strictEqual(attributes.be32(6), 0x80000001);
  strictEqual(attributes.be64(7), 2n ** 40n);
  strictEqual(attributes.string(8), "Größe");
  deepStrictEqual([...attributes.bytes(9) ?? []], [1, 2, 3]);
  deepStrictEqual(attributes.list(10).map(({ value }) => value[0]), [1, 2]);
  strictEqual(attributes.nested(10)?.u32(1), 2);
  strictEqual(attributes.u32(11), undefined);
  ok(!attributes.has(11));
});

Deno.test("MessageWriter grows past its first buffer and keeps what it has", () => {
  const writer = new MessageWriter();
  for (let i = 0; i < 10_000; i++) {
    const mark = writer.beginMessage({ type: 16, flags: 0, sequence: i + 1 });
    writer.string(1, `device ${i}`);
    writer.endMessage(mark);
  }
  const messages = decodeMessages(writer.written());
  strictEqual(messages.length, 10_000);
  const last = messages.at(-1);
  strictEqual(new Attributes(last?.payload ?? new Uint8Array()).string(1), "device 9999");
});

Deno.test("MessageWriter leaves no bytes of an earlier batch in padding", () => {
  const writer = new MessageWriter();
  const mark = writer.beginMessage(HEADER);
  writer.bytes(1, new Uint8Array(64).fill(0xff));
  writer.endMessage(mark);
  writer.reset();
  const again = writer.beginMessage(HEADER);
  writer.string(1, "a");
  writer.u8(2, 1);
  writer.bytes(3, Uint8Array.of(9));
  writer.raw(Uint8Array.of(8));
  writer.endMessage(again);
  deepStrictEqual([...writer.written().subarray(HEADER_SIZE)], [
    ...[6, 0, 1, 0, 0x61, 0, 0, 0],
    ...[5, 0, 2, 0, 1, 0, 0, 0],
    ...[5, 0, 3, 0, 9, 0, 0, 0],
    ...[8, 0, 0, 0],
  ]);
});

Deno.test("MessageWriter refuses an attribute whose length does not fit 16 bits", () => {
  throws(() => written((w) => w.bytes(1, new Uint8Array(65532))), RangeError);
  throws(() =>
    written((w) => {
      const mark = w.open(1);
      for (let i = 0; i < 20_000; i++) w.flag(2);
      w.close(mark);
    }), RangeError);
});

Deno.test("MessageWriter refuses text with a zero byte: the kernel would see less of it", () => {
  throws(() => written((w) => w.string(1, "a\0b")), TypeError);
});

const MALFORMED_ATTRIBUTES: readonly [string, readonly number[]][] = [
  ["half a header", [4, 0]],
  ["a length below the header's", [3, 0, 1, 0]],
  ["a length past the end", [9, 0, 1, 0, 1, 2, 3, 4]],
  ["bytes after the last", [4, 0, 1, 0, 7, 7]],
];
for (const [what, bytes] of MALFORMED_ATTRIBUTES) {
  Deno.test(`decodeAttributes() refuses ${what}`, () => {
    throws(() => decodeAttributes(Uint8Array.from(bytes)), SyntaxError);
  });
}

Deno.test("Attributes refuses a number that is too short", () => {
  const attributes = new Attributes(Uint8Array.of(5, 0, 1, 0, 1, 0, 0, 0));
  throws(() => attributes.u32(1), /type 1 has 1 bytes instead of 4/);
});

const MALFORMED_MESSAGES: readonly [string, readonly number[]][] = [
  ["half a header", [16, 0, 0, 0, 2, 0]],
  ["a length below the header's", [15, ...Array(19).fill(0)]],
  ["a length past the end", [24, ...Array(19).fill(0)]],
];
for (const [what, bytes] of MALFORMED_MESSAGES) {
  Deno.test(`decodeMessages() refuses ${what}`, () => {
    throws(() => decodeMessages(Uint8Array.from(bytes)), SyntaxError);
  });
}

/** An NLMSG_ERROR payload: -errno, the head of the request, then what is given. */
function errorPayload(errno: number, rest: readonly number[] = []): Uint8Array {
  return Uint8Array.from([256 - errno, 255, 255, 255, 36, ...Array(15).fill(0), ...rest]);
}

const TEXT_NO = [7, 0, 1, 0, 0x6e, 0x6f, 0, 0];
const OFFSET_20 = [8, 0, 2, 0, 20, 0, 0, 0];

Deno.test("decodeAcknowledgement() reads errno, words and offset of a capped error", () => {
  const payload = errorPayload(22, [...TEXT_NO, ...OFFSET_20]);
  const flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
  deepStrictEqual(decodeAcknowledgement({ type: 2, flags, sequence: 1, payload }), {
    errno: 22,
    text: "no",
    offset: 20,
  });
});

Deno.test("decodeAcknowledgement() skips the repeated request of an error that is not capped", () => {
  const payload = errorPayload(22, [...Array(20).fill(0xee), ...TEXT_NO]);
  deepStrictEqual(
    decodeAcknowledgement({ type: 2, flags: NLM_F_ACK_TLVS, sequence: 1, payload }),
    { errno: 22, text: "no", offset: undefined },
  );
});

Deno.test("decodeAcknowledgement() refuses an error without the head of its request", () => {
  const payload = Uint8Array.of(0, 0, 0, 0);
  throws(() => decodeAcknowledgement({ type: 2, flags: 0, sequence: 1, payload }), SyntaxError);
});

Deno.test("decodeDone() reads the error a dump ended with", () => {
  const payload = Uint8Array.from([256 - 16, 255, 255, 255]);
  strictEqual(decodeDone({ type: 3, flags: 2, sequence: 1, payload }).errno, 16);
});

/** xorshift32: the same bytes in every run, named by their seed. */
function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 24;
  };
}

/** Reads everything there is to read; only a SyntaxError may come of it. */
function decodeDeeply(bytes: Uint8Array): void {
  for (const message of decodeMessages(bytes)) {
    attempt(() => decodeAcknowledgement(message));
    attempt(() => decodeDone(message));
    attempt(() => decodeTree(message.payload));
  }
}

function decodeTree(bytes: Uint8Array): void {
  const attributes = new Attributes(bytes);
  for (const { type, value } of decodeAttributes(bytes)) {
    attempt(() => attributes.u32(type));
    attempt(() => attributes.be64(type));
    attributes.string(type);
    attempt(() => decodeTree(value));
  }
}

function attempt(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}

Deno.test("the decoders answer random bytes with a SyntaxError at worst", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const next = randomBytes(seed);
    const bytes = Uint8Array.from({ length: next() + 1 }, next);
    if (bytes.length > 4) bytes.set([bytes.length, 0, 0, 0]);
    attempt(() => decodeDeeply(bytes));
  }
});

Deno.test("the decoders answer a damaged message with a SyntaxError at worst", () => {
  const good = written((w) => {
    const mark = w.open(1);
    w.string(2, "eth0");
    w.u64(3, 1n);
    w.close(mark);
    w.be32(4, 5);
  });
  for (let seed = 1; seed <= 2000; seed++) {
    const next = randomBytes(seed);
    const bytes = good.slice(0, good.length - (next() & 3));
    for (let i = 0; i < 3; i++) bytes[next() % bytes.length] = next();
    attempt(() => decodeDeeply(bytes));
  }
});

Deno.test("MessageWriter writes every integer across the end of its first buffer", () => {
  const write: readonly ((writer: MessageWriter) => void)[] = [
    (writer) => writer.u8(1, 1),
    (writer) => writer.u16(1, 1),
    (writer) => writer.u32(1, 1),
    (writer) => writer.u64(1, 1n),
    (writer) => writer.be16(1, 1),
    (writer) => writer.be32(1, 1),
    (writer) => writer.be64(1, 1n),
  ];
  for (const integer of write) {
    const writer = new MessageWriter();
    for (let i = 0; i < 10_000; i++) integer(writer);
    const attributes = decodeAttributes(writer.written());
    strictEqual(attributes.length, 10_000);
    deepStrictEqual(attributes.filter(({ value }) => !value.includes(1)), []);
  }
});
