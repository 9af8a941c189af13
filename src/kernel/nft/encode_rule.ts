/**
 * Rules as expressions of the nf_tables virtual machine, with the registers nft 1.0.6 uses, so that
 * `nft list` prints them as if nft had made them. `nft --debug=netlink` shows the same bytecode.
 *
 * @module
 */

import { bitsOf, type Cidr, familyOf, ipToBytes } from "../../model/ip.ts";
import { PROTOCOL_NUMBER } from "./constants.ts";
import { hostBytes, portBytes, writeVerdict } from "./encode_data.ts";
import {
  ADDRESS_OFFSET,
  bitwise,
  CMP_EQ,
  CMP_NEQ,
  compare,
  expression,
  immediate,
  load,
  lookup,
  nat,
  NETWORK_HEADER,
  numgen,
  register,
  type Scope,
  type SetReference,
  testBits,
  writeExpression,
} from "./expressions.ts";
import type { Rule, Statement, Verdict } from "./values.ts";

/** Statements that {@linkcode writeStatement} writes itself. */
type MatchKind =
  | "address"
  | "in-set"
  | "vmap"
  | "iifname"
  | "ct-state"
  | "ct-status"
  | "fib-type"
  | "l4proto"
  | "mark-any"
  | "mark-set";

/** NFT_META_*, NFT_CT_* keys and masks. */
const META_MARK = 3;
const META_IIFNAME = 6;
const META_L4PROTO = 16;
const CT_STATE = 0;
const CT_STATUS = 2;
const CT_STATE_NEW = 8;
const CT_STATUS_DNAT = 0x20;
const RTN_LOCAL = 2;
const FIB_RESULT_ADDRTYPE = 3;
const INTERFACE_NAME_SIZE = 16;

/** Code of "port unreachable" in ICMP and ICMPv6. */
const PORT_UNREACHABLE = { ip: 3, ip6: 4 } as const;

/** Writes the expressions of a rule; `setOf` knows the anonymous sets of its statements. */
export function writeExpressions(
  rule: Rule,
  { setOf, ...scope }: Scope & {
    readonly setOf: (statement: Statement) => SetReference | undefined;
  },
): void {
  for (const statement of rule.statements) {
    writeStatement(statement, { ...scope, set: setOf(statement) });
  }
}

function writeStatement(
  statement: Statement,
  scope: Scope & { readonly set: SetReference | undefined },
): void {
  switch (statement.kind) {
    case "address":
      return writeAddress(statement, scope);
    case "in-set":
      load(statement.key, scope);
      return lookup(scope, { set: statement.set });
    case "vmap":
      load(statement.key, scope);
      return lookup(scope, { set: statement.map, to: 0 });
    case "iifname":
      return writeInterface(statement, scope);
    case "ct-state":
      expression(scope, "ct", { 2: CT_STATE, 1: register(0) });
      return testBits(scope, CT_STATE_NEW);
    case "ct-status":
      expression(scope, "ct", { 2: CT_STATUS, 1: register(0) });
      return testBits(scope, CT_STATUS_DNAT);
    case "fib-type": {
      const flags = statement.side === "saddr" ? 1 : 2;
      expression(scope, "fib", { 3: flags, 2: FIB_RESULT_ADDRTYPE, 1: register(0) });
      return compare(scope, { op: CMP_EQ, value: hostBytes(RTN_LOCAL) });
    }
    case "l4proto":
      expression(scope, "meta", { 2: META_L4PROTO, 1: register(0) });
      return compare(scope, {
        op: CMP_EQ,
        value: Uint8Array.of(PROTOCOL_NUMBER[statement.protocol] ?? 0),
      });
    case "mark-any":
      expression(scope, "meta", { 2: META_MARK, 1: register(0) });
      return testBits(scope, statement.bits);
    case "mark-set":
      return writeMark(statement, scope);
    default:
      return writeAction(statement, scope);
  }
}

/** What is done with a packet that all matches were true of. */
function writeAction(
  statement: Exclude<Statement, { readonly kind: MatchKind }>,
  scope: Scope & { readonly set: SetReference | undefined },
): void {
  const { family, set } = scope;
  switch (statement.kind) {
    case "pick-chain":
      numgen(scope, statement.chains.length);
      return lookup(scope, { set, to: 0 });
    case "pick-dnat":
      numgen(scope, statement.targets.length);
      lookup(scope, { set, to: register(0) });
      return nat(scope, { port: register(ADDRESS_OFFSET[family].size / 4), flags: undefined });
    case "dnat":
      immediate(scope, { register: 1, value: ipToBytes(statement.target.ip) });
      immediate(scope, { register: 2, value: portBytes(statement.target.port) });
      return nat(scope, { port: 2, flags: 2 });
    case "update":
      load([statement.key], scope);
      return writeExpression(scope, "dynset", {
        body(writer) {
          writer.be32(4, register(0));
          writer.be32(3, 1); // NFT_DYNSET_OP_UPDATE
          writer.string(1, statement.set);
        },
      });
    case "masquerade":
      return expression(scope, "masq", { 1: 0x10 }); // NF_NAT_RANGE_PROTO_RANDOM_FULLY
    case "reject":
      return writeExpression(scope, "reject", {
        body(writer) {
          writer.be32(1, 0); // NFT_REJECT_ICMP_UNREACH
          writer.u8(2, PORT_UNREACHABLE[family]);
        },
      });
    default:
      return writeExpression(scope, "immediate", {
        body(writer) {
          writer.be32(1, 0);
          writeVerdict(writer, { type: 2, verdict: statement satisfies Verdict });
        },
      });
  }
}

function writeAddress(
  { side, of, not }: Extract<Statement, { readonly kind: "address" }>,
  scope: Scope & { readonly set: SetReference | undefined },
): void {
  const [only] = of;
  if (scope.set !== undefined || only === undefined) {
    load([side], scope);
    return lookup(scope, { set: scope.set, ...(not && { not }) });
  }
  const op = not ? CMP_NEQ : CMP_EQ;
  const { prefixLength } = only;
  const size = bitsOf(familyOf(only.address)) / 8;
  const offset = ADDRESS_OFFSET[scope.family][side];
  const address = ipToBytes(only.address);
  if (prefixLength > 0 && prefixLength % 8 === 0) {
    const length = prefixLength / 8;
    expression(scope, "payload", { 1: register(0), 2: NETWORK_HEADER, 3: offset, 4: length });
    return compare(scope, { op, value: address.subarray(0, length) });
  }
  expression(scope, "payload", { 1: register(0), 2: NETWORK_HEADER, 3: offset, 4: size });
  bitwise(scope, { mask: netmask(only, size), xor: new Uint8Array(size) });
  compare(scope, { op, value: address });
}

function netmask({ prefixLength }: Cidr, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => {
    const kept = Math.min(8, Math.max(0, prefixLength - 8 * i));
    return 0xff00 >> kept & 0xff;
  });
}

function writeInterface(
  { name, not, prefix }: Extract<Statement, { readonly kind: "iifname" }>,
  scope: Scope,
): void {
  const text = new TextEncoder().encode(name);
  const whole = new Uint8Array(INTERFACE_NAME_SIZE);
  whole.set(text);
  expression(scope, "meta", { 2: META_IIFNAME, 1: register(0) });
  compare(scope, { op: not ? CMP_NEQ : CMP_EQ, value: prefix ? text : whole });
}

function writeMark(
  { op, bits }: Extract<Statement, { readonly kind: "mark-set" }>,
  scope: Scope,
): void {
  expression(scope, "meta", { 2: META_MARK, 1: register(0) });
  // OR is "clear these bits, then flip them".
  const kept = op === "or" ? ~bits >>> 0 : 0xffffffff;
  bitwise(scope, { mask: hostBytes(kept), xor: hostBytes(bits) });
  expression(scope, "meta", { 2: META_MARK, 3: register(0) });
}
