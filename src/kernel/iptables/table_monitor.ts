/**
 * Chooses how to notice changes of others: by the generation of nf_tables, or by the sizes of
 * legacy tables.
 *
 * @module
 */

import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import { openNetlink } from "../netlink/socket.ts";
import { CommitLedger, GenerationMonitor } from "./generation.ts";
import type { Iptables } from "./iptables.ts";
import type { TableMonitor } from "./monitor.ts";
import { openTableInfo, TableInfoMonitor } from "./table_info.ts";

/** The process writes to one nf_tables, whatever the family. */
const LEDGER = new CommitLedger();

/** The monitor for the variant of these tools. Throws an Error when the kernel gives no hint. */
export function openTableMonitor({ family, version }: Iptables): TableMonitor {
  const monitor = version.variant === "nf_tables"
    ? new GenerationMonitor(openNetlink(NETLINK_NETFILTER), LEDGER)
    : new TableInfoMonitor(openTableInfo(family));
  try {
    monitor.markRead();
  } catch (error) {
    monitor[Symbol.dispose]();
    throw error;
  }
  return monitor;
}
