/**
 * Objects of one resource on their way into the store: one by one, or gathered until a list is
 * complete, so that the store never holds half a list.
 *
 * @module
 */

import type { Logger } from "../log.ts";
import { type Change, replacementOf } from "./changes.ts";
import { decodeGone, decodeObject } from "./decode.ts";
import type { JsonObject } from "./json.ts";
import { NoteLog } from "./note_log.ts";
import type { Resource } from "./resources.ts";
import type { Store } from "./store.ts";

/** Decodes objects and hands them to the store. */
export class Intake {
  readonly #store: Store;
  readonly #resource: Resource;
  readonly #nodeName: string;
  readonly #notes: NoteLog;
  #gathered: Map<string, Change> | undefined;

  constructor(options: { store: Store; resource: Resource; nodeName: string; log: Logger }) {
    this.#store = options.store;
    this.#resource = options.resource;
    this.#nodeName = options.nodeName;
    this.#notes = new NoteLog(options.log);
  }

  /** Whether a list has begun and is not complete. */
  get isGathering(): boolean {
    return this.#gathered !== undefined;
  }

  /** From now on objects are part of a list. */
  beginList(): void {
    this.#gathered = new Map();
  }

  /** What was gathered since {@linkcode Intake.beginList} is all there is. */
  completeList(): void {
    const { kind } = this.#resource;
    this.#store.replace(replacementOf(kind, this.#gathered?.values() ?? []));
    this.#gathered = undefined;
  }

  /** The list will not be completed; the store stays as it is. */
  abandonList(): void {
    this.#gathered = undefined;
  }

  /** An object as it is now. */
  take(json: JsonObject): void {
    const decoded = decodeObject(json, { resource: this.#resource, nodeName: this.#nodeName });
    this.#notes.report(decoded.change?.key ?? "", decoded.note);
    if (decoded.change !== undefined) this.#hand(decoded.change);
  }

  /** An object as it was before its deletion. */
  takeDeleted(json: JsonObject): void {
    const change = decodeGone(json, this.#resource.kind);
    if (change === undefined) return;
    this.#notes.report(change.key, undefined);
    this.#hand(change);
  }

  #hand(change: Change): void {
    if (this.#gathered === undefined) this.#store.apply(change);
    else this.#gathered.set(change.key, change);
  }
}
