/**
 * The handle by which nf_tables is changed and read, whichever way: the nft tool (tool.ts), netlink
 * (netlink.ts), or a table in memory (fake.ts).
 *
 * @module
 */

import type { ObservedTable } from "./observed.ts";
import { formatCommand } from "./print.ts";
import type { Chain, Command, TableName, Transaction } from "./values.ts";

/** What a transaction cost. */
export interface Written {
  /** Text or netlink bytes handed over. */
  readonly bytes: number;
  /** Child processes started. */
  readonly processes: number;
}

/** A way to the kernel's nf_tables. */
export interface Nft {
  /** About how many commands a transaction should have when there are many more. */
  readonly batchCommands: number;
  /** Applies all commands or none. Throws {@linkcode NftError}. */
  transact(transaction: Transaction): Promise<Written>;
  /** The table; undefined when there is none. Throws {@linkcode NftError}. */
  list(table: TableName): Promise<ObservedTable | undefined>;
  /** What {@linkcode ObservedChain.rules} says when the chain is as given. */
  fingerprints(chain: Chain, table: TableName): readonly string[];
  /** Resolves on abort. Calls `onChange` when another program changed the table. */
  watch(
    table: TableName,
    options: { readonly onChange: (what: string) => void; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Lets other work of the process go on; for those who have much to do. */
  breathe(): Promise<void>;
  /** Frees what the handle holds. */
  close(): void;
}

/**
 * Why nothing was changed.
 *
 * - `refused`: the kernel or nft does not take this transaction; another one it may.
 * - `unavailable`: no transaction gets through: no tool, no permission, no answer.
 */
export type NftFailure = "refused" | "unavailable";

/** Names of kernel errors that callers ask about. */
export type NftErrno = "ENOENT" | "EEXIST" | "EBUSY" | "EPERM";

/** A transaction or a listing that failed. Nothing of it was applied. */
export class NftError extends Error {
  override readonly name = "NftError";
  readonly failure: NftFailure;
  /** undefined: another one, or none. */
  readonly errno: NftErrno | undefined;
  /** Which of the commands failed first; undefined when nobody said. */
  readonly index: number | undefined;

  constructor(
    message: string,
    detail: { failure: NftFailure; errno?: NftErrno | undefined; index?: number | undefined },
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.failure = detail.failure;
    this.errno = detail.errno;
    this.index = detail.index;
  }
}

/** Whether a transaction was refused, so that a smaller one may get through. */
export function isRefused(error: unknown): error is NftError {
  return error instanceof NftError && error.failure === "refused";
}

/** Whether something is still referred to. */
export function isBusy(error: unknown): error is NftError {
  return error instanceof NftError && error.errno === "EBUSY";
}

/** Whether something that was named is not there. */
export function isNotFound(error: unknown): error is NftError {
  return error instanceof NftError && error.errno === "ENOENT";
}

/** The words for the command at fault in messages. */
export function failedCommand(
  { commands, table }: Transaction,
  index: number | undefined,
): string {
  const command: Command | undefined = index === undefined ? undefined : commands[index];
  if (command === undefined) return `a transaction of ${commands.length} commands`;
  const text = formatCommand(command, table);
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
