/**
 * Files instead of an API server: the objects of one manifest, or of all manifests of a directory,
 * followed as they change. A file that cannot be read keeps what it last had; the others go on.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ConfigError } from "../config/problem.ts";
import type { Logger } from "../log.ts";
import type { Note } from "../model/plan.ts";
import { type Change, type ObjectKind, replacementOf } from "./changes.ts";
import { directoryChanges } from "./directory_changes.ts";
import { decodeManifest, type ManifestEntry, ManifestError } from "./manifest.ts";
import { NoteLog } from "./note_log.ts";
import { RESOURCES } from "./resources.ts";
import type { Store } from "./store.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";

const EXTENSIONS = /\.(ya?ml|json)$/;

/** What {@linkcode startManifestSource} needs. */
export interface ManifestSourceOptions {
  /** A file, or a directory whose .yaml, .yml and .json files are read, not those below it. */
  readonly path: string;
  readonly store: Store;
  /** metadata.name of the Node of this host. */
  readonly nodeName: string;
  readonly log: Logger;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** A running source. */
export interface ManifestSource {
  /** Resolves after the signal. Never rejects. */
  readonly done: Promise<void>;
}

/**
 * Reads the manifests, so that the store has synced, and follows them from then on.
 *
 * @throws {ConfigError} when the path is not there, or the only file cannot be read.
 */
export async function startManifestSource(
  options: ManifestSourceOptions,
): Promise<ManifestSource> {
  const path = resolve(options.path);
  const isDirectory = await hasDirectory(path);
  const manifests = new Manifests({ ...options, path, isDirectory });
  await manifests.read();
  if (!isDirectory) manifests.requireUsable();
  manifests.publish();
  if (options.store.node === undefined) options.store.declareNodeAbsent();
  return { done: follow(manifests, { ...options, path: isDirectory ? path : dirname(path) }) };
}

async function follow(manifests: Manifests, options: ManifestSourceOptions): Promise<void> {
  const { path, log, signal } = options;
  for await (const _ of directoryChanges(path, { clock: SYSTEM_CLOCK, log, signal })) {
    try {
      if (await manifests.read()) manifests.publish();
    } catch (error) {
      log.error("Cannot list manifests, keeping what was read", { path, error });
    }
  }
}

async function hasDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    const reason = `cannot be read: ${messageOf(cause)}`;
    throw new ConfigError([{ path: "--manifests", value: path, reason }], { cause });
  }
}

/** A file as it was last seen. */
interface Manifest {
  /** Changes when the file may have changed. */
  readonly stamp: string;
  readonly digest: string;
  /** Of the last text that could be read. */
  readonly entries: readonly ManifestEntry[];
  readonly problem: string;
}

const DUPLICATE: Note = {
  level: "warning",
  message: "Ignored an object that another manifest has already",
  fields: {},
};

const UNREAD: Manifest = { stamp: "", digest: "", entries: [], problem: "" };

class Manifests {
  readonly #options: ManifestSourceOptions & { readonly isDirectory: boolean };
  readonly #notes: NoteLog;
  #manifestsByPath: ReadonlyMap<string, Manifest> = new Map();

  constructor(options: ManifestSourceOptions & { readonly isDirectory: boolean }) {
    this.#options = options;
    this.#notes = new NoteLog(options.log);
  }

  /** Reads what has changed. Returns whether anything may be different now. */
  async read(): Promise<boolean> {
    const manifests = new Map<string, Manifest>();
    for (const path of await this.#paths()) {
      const manifest = await this.#readOne(path, this.#manifestsByPath.get(path) ?? UNREAD);
      if (manifest !== undefined) manifests.set(path, manifest);
    }
    const before = this.#manifestsByPath;
    this.#manifestsByPath = manifests;
    return before.size !== manifests.size ||
      [...manifests].some(([path, { entries }]) => before.get(path)?.entries !== entries);
  }

  /** @throws {ConfigError} when a file could not be read. */
  requireUsable(): void {
    for (const [path, { problem }] of this.#manifestsByPath) {
      if (problem === "") continue;
      throw new ConfigError([{ path: "--manifests", value: path, reason: problem }]);
    }
  }

  /** Makes the store hold the objects of all files, and nothing else. */
  publish(): void {
    const changes = this.#changes();
    for (const { kind } of RESOURCES) {
      this.#options.store.replace(replacementOf(kind, changes.get(kind)?.values() ?? []));
    }
  }

  async #paths(): Promise<readonly string[]> {
    const { path, isDirectory } = this.#options;
    if (!isDirectory) return [path];
    const names = await readdir(path);
    // Names with a dot in front are editors' files, and the inside of ConfigMap volumes.
    return names.filter((name) => EXTENSIONS.test(name) && !name.startsWith(".")).sort()
      .map((name) => join(path, name));
  }

  /** Undefined when there is no such file any more. */
  async #readOne(path: string, before: Manifest): Promise<Manifest | undefined> {
    try {
      const status = await stat(path, { bigint: true });
      const stamp = `${status.dev} ${status.ino} ${status.size} ${status.mtimeNs}`;
      if (status.isDirectory()) return undefined;
      if (stamp === before.stamp) return before;
      return this.#decode(await readFile(path, "utf8"), { path, before, stamp });
    } catch (error) {
      // The only file of a source that is being replaced is not the end of all services.
      const isGone = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (isGone && this.#options.isDirectory) return undefined;
      const problem = `cannot be read: ${messageOf(error)}`;
      if (problem !== before.problem) this.#complain(path, { problem, error });
      return { ...before, stamp: "", problem };
    }
  }

  #decode(
    text: string,
    { path, before, stamp }: { path: string; before: Manifest; stamp: string },
  ): Manifest {
    const digest = createHash("sha256").update(text).digest("hex");
    if (digest === before.digest) return { ...before, stamp };
    try {
      const entries = decodeManifest(text, this.#options);
      return { stamp, digest, entries, problem: "" };
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      const problem = `line ${error.line}: ${error.reason}`;
      this.#complain(path, { problem, line: error.line });
      return { ...before, stamp, digest, problem };
    }
  }

  #complain(path: string, fields: Readonly<Record<string, unknown>>): void {
    const { log } = this.#options;
    log.error("Cannot use a manifest, keeping what it last had", { file: path, ...fields });
  }

  /** By kind and key. Of an object that is in two files the first counts. */
  #changes(): ReadonlyMap<ObjectKind, ReadonlyMap<string, Change>> {
    const changes = new Map<ObjectKind, Map<string, Change>>();
    for (const { kind } of RESOURCES) changes.set(kind, new Map());
    for (const [file, { entries }] of this.#manifestsByPath) {
      for (const { change, note } of entries) {
        const object = change === undefined
          ? `${note?.fields["kind"]} ${note?.fields["object"]}`
          : `${change.kind} ${change.key}`;
        const known = change && changes.get(change.kind);
        const isTaken = change !== undefined && known?.has(change.key) === true;
        const told = isTaken ? DUPLICATE : note;
        this.#notes.report(
          `${file} ${object}`,
          told && { ...told, fields: { ...told.fields, file, object } },
        );
        if (change !== undefined && !isTaken) known?.set(change.key, change);
      }
    }
    return changes;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
