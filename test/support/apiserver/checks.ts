/**
 * The small rules that validation is made of: names, ports, labels, enumerations. Each appends a
 * {@linkcode Cause} with the path of the field.
 *
 * @module
 */

import { isObject, type Json } from "./json.ts";
import { parseAddress, parseRange, specialReason } from "./addresses.ts";
import type { Cause } from "./status.ts";

/** Collects what is wrong with an object. */
export class Causes {
  readonly list: Cause[] = [];

  /** Rules for the field at a path. */
  at(field: string): FieldRules {
    return new FieldRules(this.list, field);
  }
}

/** Rules for one field: each appends a cause when it is broken. */
export class FieldRules {
  constructor(private readonly list: Cause[], private readonly field: string) {}

  /** The field must be there. */
  required(message = "is required"): void {
    this.#add("FieldValueRequired", `Required value: ${message}`);
  }

  /** The value cannot be used. */
  invalid(value: Json | undefined, message: string): void {
    this.#add("FieldValueInvalid", `Invalid value: ${JSON.stringify(value)}: ${message}`);
  }

  /** The value is there twice. */
  duplicate(value: Json | undefined): void {
    this.#add("FieldValueDuplicate", `Duplicate value: ${JSON.stringify(value)}`);
  }

  /** The field may not be set here. */
  forbidden(message: string): void {
    this.#add("FieldValueForbidden", `Forbidden: ${message}`);
  }

  /** One of a list. */
  oneOf(value: Json | undefined, allowed: readonly string[]): void {
    if (typeof value === "string" && allowed.includes(value)) return;
    const list = allowed.map((item) => JSON.stringify(item)).join(", ");
    this.#add(
      "FieldValueNotSupported",
      `Unsupported value: ${JSON.stringify(value ?? "")}: supported values: ${list}`,
    );
  }

  /** At most so many items. */
  atMost(count: number, limit: number): boolean {
    if (count <= limit) return true;
    this.#add("FieldValueTooMany", `Too many: ${count}: must have at most ${limit} items`);
    return false;
  }

  /** A whole number between two others. */
  between(value: Json | undefined, [low, high]: readonly [number, number]): void {
    if (typeof value === "number" && value >= low && value <= high) return;
    this.invalid(value, `must be between ${low} and ${high}, inclusive`);
  }

  /** DNS-1123 label: `my-name`, `1st`. */
  label(value: string): void {
    if (DNS_LABEL.test(value) && value.length <= 63) return;
    this.invalid(value, "must be a DNS-1123 label: lower case letters, digits and '-'");
  }

  /** DNS-1123 subdomain: labels with dots. */
  subdomain(value: string): void {
    if (value.length <= 253 && value.split(".").every((part) => DNS_LABEL.test(part))) return;
    this.invalid(value, "must be a DNS-1123 subdomain: lower case letters, digits, '-', '.'");
  }

  /** DNS-1035 label: begins with a letter. */
  serviceName(value: string): void {
    if (DNS_LABEL.test(value) && /^[a-z]/.test(value) && value.length <= 63) return;
    this.invalid(value, "must be a DNS-1035 label: begins with a lower case letter");
  }

  /** `name` or `example.com/name`. */
  qualifiedName(value: string): void {
    const [prefix, name = prefix, ...more] = value.split("/");
    const hasPrefix = value.includes("/");
    const isGood = more.length === 0 && QUALIFIED.test(name ?? "") &&
      (!hasPrefix || (prefix ?? "").split(".").every((part) => DNS_LABEL.test(part)));
    if (!isGood) this.invalid(value, "must be a qualified name like example.com/MyName");
  }

  /** An address of this spelling that traffic can go to. */
  target(value: string): void {
    const address = parseAddress(value);
    if (!address) return this.invalid(value, "must be a valid IP address");
    const why = specialReason(address);
    if (why) this.invalid(value, why);
  }

  /** A range; blanks around it are accepted where the real server trims. */
  range(value: string): void {
    if (!parseRange(value)) this.invalid(value, "must be a valid CIDR like 10.0.0.0/8");
  }

  /** `labels`, `selector`: keys and values. */
  labels(value: Json | undefined): void {
    if (!isObject(value)) return;
    for (const [key, text] of Object.entries(value)) {
      this.qualifiedName(key);
      if (!LABEL_VALUE.test(String(text))) this.invalid(text, "is not a label value");
    }
  }

  /** `annotations`: keys and the size of all of them. */
  annotations(value: Json | undefined): void {
    if (!isObject(value)) return;
    for (const key of Object.keys(value)) this.qualifiedName(key.toLowerCase());
    if (JSON.stringify(value).length > 256 << 10) {
      this.#add("FieldValueTooLong", "Too long: may not be more than 262144 bytes");
    }
  }

  #add(reason: Cause["reason"], message: string): void {
    this.list.push({ reason, field: this.field, message });
  }
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const QUALIFIED = /^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/;
