/**
 * Removes the tables of any proxy in mode nftables, both families (FACTS CLEAN-05).
 *
 * @module
 */

import { isNotFound, type Nft, NftError } from "../../kernel/nft/nft.ts";
import type { TableName } from "../../kernel/nft/values.ts";
import { CONTAINERS } from "./containers.ts";
import { isProxyTable } from "./recognise.ts";

/** The name of the table in both families. */
export const TABLE_NAME = "kube-proxy";

/** Returns what went wrong. */
export async function removeTables(nft: Nft): Promise<readonly Error[]> {
  const failures: Error[] = [];
  for (const family of ["ip", "ip6"] as const) {
    try {
      await removeTable({ family, name: TABLE_NAME }, nft);
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      if (!isNotFound(error)) failures.push(error);
    }
  }
  return failures;
}

async function removeTable(table: TableName, nft: Nft): Promise<void> {
  const found = await nft.list(table);
  // A table of another program is none of our business.
  if (found === undefined || !isProxyTable(found, CONTAINERS[table.family])) return;
  await nft.transact({ table, commands: [{ op: "delete-table" }] });
}
