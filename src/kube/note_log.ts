/**
 * Says once what is wrong with an object, and again only when something else is wrong with it: a
 * slice that changes every second must not fill the log.
 *
 * @module
 */

import type { Logger } from "../log.ts";
import type { Note } from "../model/plan.ts";

/** What was said about each object. */
export class NoteLog {
  readonly #log: Logger;
  readonly #saidByObject = new Map<string, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Logs what is to be said about an object now; undefined: nothing is wrong with it. */
  report(object: string, note: Note | undefined): void {
    if (note === undefined) {
      this.#saidByObject.delete(object);
      return;
    }
    const text = JSON.stringify([note.message, note.fields]);
    if (this.#saidByObject.get(object) === text) return;
    this.#saidByObject.set(object, text);
    this.#log.warn(note.message, note.fields);
  }
}
