import { notStrictEqual, strictEqual } from "node:assert/strict";
import { CommitLedger } from "./generation.ts";

Deno.test("CommitLedger leaves what others did", () => {
  const ledger = new CommitLedger();
  const before = ledger.othersAt(100);
  ledger.startWrite().end({ commits: 2 });
  strictEqual(ledger.othersAt(102), before);
  notStrictEqual(ledger.othersAt(103), before);
});

Deno.test("CommitLedger cannot tell while a write is under way", () => {
  const ledger = new CommitLedger();
  const write = ledger.startWrite();
  strictEqual(ledger.othersAt(100), undefined);
  write.end({ commits: 0 });
  strictEqual(typeof ledger.othersAt(100), "string");
});

Deno.test("CommitLedger trusts nothing from before a write that ended badly", () => {
  const ledger = new CommitLedger();
  const before = ledger.othersAt(100);
  ledger.startWrite().end({ commits: undefined });
  notStrictEqual(ledger.othersAt(100), before);
});

Deno.test("CommitLedger works over the end of 32 bits", () => {
  const ledger = new CommitLedger();
  const before = ledger.othersAt(0xffff_ffff);
  ledger.startWrite().end({ commits: 2 });
  strictEqual(ledger.othersAt(1), before);
});
