/**
 * Writes a rule in the canonical order of iptables-save: addresses, interface, protocol, then the
 * matches in the order in which they were given, then the target.
 *
 * @module
 */

import type { Rule } from "./ruleset.ts";

/** A value, or everything but a value. */
export type Operand = string | { readonly not: string };

/** The parts of a rule. Absent parts match everything. */
export interface RuleParts {
  /** `address/length` */
  readonly source?: Operand;
  /** `address/length` */
  readonly destination?: Operand;
  /** A trailing `+` matches any suffix. */
  readonly inInterface?: Operand;
  /** Lower case: tcp, udp, sctp. */
  readonly protocol?: string;
  /** Each with its `-m`. */
  readonly matches?: readonly string[];
  /** What follows `-j`; a rule without target only counts. */
  readonly target?: string;
}

/** The canonical text. */
export function formatRule(parts: RuleParts): Rule {
  const words: string[] = [];
  if (parts.source !== undefined) words.push(operandText("-s", parts.source));
  if (parts.destination !== undefined) words.push(operandText("-d", parts.destination));
  if (parts.inInterface !== undefined) words.push(operandText("-i", parts.inInterface));
  if (parts.protocol !== undefined) words.push(`-p ${parts.protocol}`);
  if (parts.matches !== undefined) words.push(...parts.matches);
  if (parts.target !== undefined) words.push(`-j ${parts.target}`);
  return words.join(" ");
}

/** A match on the destination port. */
export function portMatch(protocol: string, port: number): string {
  return `-m ${protocol} --dport ${port}`;
}

/** The probability of one of `count` equal choices as the kernel keeps it: a multiple of 2^-31. */
export function randomMatch(count: number): string {
  let match = randomMatches.get(count);
  if (match === undefined) {
    match = `-m statistic --mode random --probability ${formatProbability(count)}`;
    randomMatches.set(count, match);
  }
  return match;
}

const randomMatches = new Map<number, string>();

const KERNEL_UNITS = 1n << 31n;
const PRINTED_UNITS = 10n ** 11n;

/**
 * kube-proxy asks for 1/count with ten digits, libxt_statistic rounds that to 31 bits and prints
 * it with eleven digits, half to even. Integers, because a double of JavaScript rounds half up.
 */
function formatProbability(count: number): string {
  const units = BigInt(Math.round(2 ** 31 * Number((1 / count).toFixed(10))));
  const scaled = units * PRINTED_UNITS;
  const whole = scaled / KERNEL_UNITS;
  const rest = 2n * (scaled % KERNEL_UNITS);
  const up = rest > KERNEL_UNITS || (rest === KERNEL_UNITS && whole % 2n === 1n);
  const digits = (whole + (up ? 1n : 0n)).toString().padStart(12, "0");
  return `${digits.slice(0, -11)}.${digits.slice(-11)}`;
}

function operandText(option: string, operand: Operand): string {
  return typeof operand === "string" ? `${option} ${operand}` : `! ${option} ${operand.not}`;
}
