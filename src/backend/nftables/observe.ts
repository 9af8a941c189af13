/**
 * The difference between a plan and what is in the kernel, whoever wrote it.
 *
 * @module
 */

import { type Nft, NftError } from "../../kernel/nft/nft.ts";
import type { ObservedTable } from "../../kernel/nft/observed.ts";
import type { Command, TableName } from "../../kernel/nft/values.ts";
import type { Plan } from "../../model/plan.ts";
import type { Unusable } from "./applied.ts";
import { Claims } from "./claims.ts";
import { TABLE_COMMENT } from "./containers.ts";
import type { Context } from "./context.ts";
import type { Part } from "./desired.ts";
import { type PartChange, STATIC_KEY } from "./diff.ts";
import { nameProblem } from "./names.ts";
import {
  foundElements,
  hasForeignTypes,
  isProxyTable,
  recognisePart,
  strayPart,
} from "./recognise.ts";
import { renderService } from "./render_service.ts";
import { renderStatic } from "./render_static.ts";

/** What is to be done to make the table match a plan. */
export interface Observation {
  readonly claims: Claims;
  /** To be done before anything else. */
  readonly setUp: readonly Command[];
  /** All parts, also those that are right. */
  readonly parts: readonly PartChange[];
  readonly unusable: readonly Unusable[];
  /** What is in the table for no reason. */
  readonly strays: Part;
}

/** Reads the table and compares. */
export async function observeTable(
  plan: Plan,
  { context, nft, table }: {
    readonly context: Context;
    readonly nft: Nft;
    readonly table: TableName;
  },
): Promise<Observation> {
  const found = await nft.list(table);
  const containers = Object.values(context.containers);
  if (found !== undefined && !isProxyTable(found, context.containers)) throw foreignTable(table);
  const isUsable = found !== undefined && !hasForeignTypes(found, containers);
  const observed = isUsable ? found : undefined;
  const { parts, unusable } = await compare(plan, { context, nft, table, observed });
  return {
    claims: Claims.found(foundElements(observed, containers)),
    setUp: setUpCommands(found, observed),
    parts,
    unusable,
    strays: strayPart(observed ?? EMPTY, {
      parts: parts.map(({ wish }) => wish),
      containers: context.containers,
    }),
  };
}

const EMPTY: ObservedTable = { chains: new Map(), sets: new Map() };

function setUpCommands(
  found: ObservedTable | undefined,
  usable: ObservedTable | undefined,
): readonly Command[] {
  const add: Command = { op: "add-table", comment: TABLE_COMMENT };
  // Adding a table that is there wakes it up.
  if (usable !== undefined) return usable.isDormant ? [add] : [];
  return found === undefined ? [add] : [{ op: "delete-table" }, add];
}

/** Services that are compared in one go, before other work gets its turn. */
const RUN = 500;

async function compare(
  plan: Plan,
  { context, ...kernel }: {
    readonly context: Context;
    readonly nft: Nft;
    readonly table: TableName;
    readonly observed: ObservedTable | undefined;
  },
): Promise<{ readonly parts: readonly PartChange[]; readonly unusable: readonly Unusable[] }> {
  const changeOf = (key: string, wish: Part): PartChange => ({
    key,
    was: recognisePart(wish, kernel),
    wish,
    ...(kernel.observed === undefined && { isTableNew: true }),
  });
  const parts = [changeOf(STATIC_KEY, renderStatic(context))];
  const unusable: Unusable[] = [];
  for (const [key, service] of plan.services) {
    const reason = nameProblem(service.servicePort.name);
    if (reason === undefined) parts.push(changeOf(key, renderService(service, context)));
    else unusable.push({ key, reason });
    if (parts.length % RUN === 0) await kernel.nft.breathe();
  }
  return { parts, unusable };
}

function foreignTable({ family, name }: TableName): NftError {
  return new NftError(
    `Cannot use nftables table ${family} ${name}: another program made it; ` +
      `if nobody needs it, remove it with "nft delete table ${family} ${name}"`,
    { failure: "unavailable" },
  );
}
