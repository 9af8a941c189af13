/**
 * What is wrong with an object, told in one line that names it, however much is wrong with it.
 *
 * @module
 */

import type { Note } from "../model/plan.ts";

/** More than this of one object are counted, not listed. */
const MAX_LISTED = 5;

/** Collects what is wrong with one object while it is decoded. */
export class Problems {
  readonly #listed: string[] = [];
  #count = 0;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** Reports why the field at `path`, e.g. `spec.ports[0].port`, cannot be used. */
  add(path: string, { why, value }: { why: string; value?: unknown }): void {
    this.#count++;
    if (this.#count > MAX_LISTED) return;
    this.#listed.push(value === undefined ? `${path}: ${why}` : `${path}: ${why}: ${show(value)}`);
  }

  /** The line about all of them; undefined when there are none. */
  note(about: { kind: string; object: string; isSkipped: boolean }): Note | undefined {
    if (this.#count === 0) return undefined;
    const unlisted = this.#count - this.#listed.length;
    return {
      level: "warning",
      message: about.isSkipped
        ? "Skipped an object that cannot be used"
        : "Left out parts of an object that cannot be used",
      fields: {
        kind: about.kind,
        object: about.object,
        problems: this.#listed.join("; ") + (unlisted > 0 ? `; and ${unlisted} more` : ""),
      },
    };
  }
}

/** Only the kind of lists and objects: they may be huge, or loop when they come from YAML. */
function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);
  }
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}
