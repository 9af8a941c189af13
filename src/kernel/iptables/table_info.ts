/**
 * What the kernel says about the size of a legacy table: number of entries, bytes, and where the
 * built-in chains begin. Nearly every change shows in it. See struct ipt_getinfo in
 * linux/netfilter_ipv4/ip_tables.h, and IP6T_SO_GET_INFO.
 *
 * @module
 */

import type { IpFamily } from "../../model/ip.ts";
import { lastErrno, libnl } from "../netlink/libnl.ts";
import { NetlinkError } from "../netlink/errors.ts";
import type { OwnWrite, TableMonitor } from "./monitor.ts";

const SOCK_RAW_CLOEXEC = 0x8_0003;
const IPPROTO_RAW = 255;
/** IPT_SO_GET_INFO and IP6T_SO_GET_INFO. */
const GET_INFO = 64;
const NAME_BYTES = 32;
const INFO_BYTES = 84;

const DOMAINS: Readonly<Record<IpFamily, { readonly domain: number; readonly level: number }>> = {
  IPv4: { domain: 2, level: 0 },
  IPv6: { domain: 10, level: 41 },
};

/** Reads a fingerprint of the tables of one family; any text that differs means a change. */
export interface TableInfo extends Disposable {
  /**
   * Undefined as long as nobody made the kernel load ip_tables, so that nobody has rules. Throws a
   * NetlinkError when the kernel has no such table.
   */
  read(tables: readonly string[]): string | undefined;
}

/** Opens the legacy interface of one family. Throws a NetlinkError when there is none. */
export function openTableInfo(family: IpFamily): TableInfo {
  const library = libnl();
  const { domain, level } = DOMAINS[family];
  const fd = library.socket(domain, SOCK_RAW_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) throw new NetlinkError("open a raw socket", { errno: lastErrno(library) });
  const readOne = (table: string): string => {
    const info = new Uint8Array(INFO_BYTES);
    new TextEncoder().encodeInto(table, info.subarray(0, NAME_BYTES - 1));
    if (library.getsockopt(fd, level, GET_INFO, info, Uint32Array.of(INFO_BYTES)) < 0) {
      throw new NetlinkError(`read the size of table ${table}`, { errno: lastErrno(library) });
    }
    return info.subarray(NAME_BYTES).toHex();
  };
  return {
    read: (tables) => readTables(tables, readOne),
    [Symbol.dispose]() {
      library.close(fd);
    },
  };
}

/** The fingerprint of several tables by that of one; see {@linkcode TableInfo.read}. */
export function readTables(
  tables: readonly string[],
  readOne: (table: string) => string,
): string | undefined {
  try {
    return tables.map(readOne).join(" ");
  } catch (error) {
    if (error instanceof NetlinkError && error.code === "ENOPROTOOPT") return undefined;
    throw error;
  }
}

/** Tables in which something is ours. */
const TABLES = ["nat", "filter", "mangle"];

/** Notices changes of others by the sizes of tables. */
export class TableInfoMonitor implements TableMonitor {
  readonly #info: TableInfo;
  #read: string | undefined;
  #underWay = false;

  constructor(info: TableInfo) {
    this.#info = info;
  }

  [Symbol.dispose](): void {
    this.#info[Symbol.dispose]();
  }

  /** @inheritDoc */
  markRead(): void {
    this.#read = this.#info.read(TABLES);
  }

  /** What others do while we write goes unseen here; the hourly verification finds it. */
  startWrite(): OwnWrite {
    this.#underWay = true;
    return {
      end: () => {
        this.#underWay = false;
        this.markRead();
      },
    };
  }

  /** @inheritDoc */
  hasChanged(): boolean | undefined {
    if (this.#underWay || this.#read === undefined) return undefined;
    return this.#info.read(TABLES) !== this.#read;
  }
}
