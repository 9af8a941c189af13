/**
 * Commands as netlink requests. A rule with `{ … }` in it is several: the anonymous set, its elements,
 * then the rule that refers to it by the id it has within the transaction.
 *
 * @module
 */

import type { NetlinkRequest } from "../netlink/channel.ts";
import { NLM_F_APPEND, NLM_F_CREATE } from "../netlink/constants.ts";
import { writeNfgen } from "../netlink/nfnetlink.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { anonymousName, type AnonymousSet, anonymousSet } from "./anonymous.ts";
import {
  CHAIN,
  FAMILY_NUMBER,
  HOOK,
  HOOK_NAMES,
  MSG,
  RULE,
  SET,
  TABLE,
  VERDICT_CODE,
} from "./constants.ts";
import { writeExpressions } from "./encode_rule.ts";
import {
  elementChunks,
  namedElement,
  writeAnonymousSet,
  writeElements,
  writeSet,
} from "./encode_set.ts";
import type { SetReference } from "./expressions.ts";
import { commentData } from "./userdata.ts";
import type { ChainHead, Command, Rule, Statement, TableName, Transaction } from "./values.ts";

/** For errors of the transaction as a whole. */
export const OPERATION = "change nftables";

/** Requests, and for each of them the command it belongs to. */
export interface EncodedTransaction {
  readonly requests: readonly NetlinkRequest[];
  readonly commandOfRequest: readonly number[];
}

/** Encodes; `unique` gives another number each time, for the names of anonymous sets. */
export function encodeTransaction(
  { commands, table }: Transaction,
  unique: () => number,
): EncodedTransaction {
  const requests: NetlinkRequest[] = [];
  const commandOfRequest: number[] = [];
  let lastSetId = 0;
  const nextSetId = () => ++lastSetId;
  commands.forEach((command, index) => {
    for (const request of encodeCommand(command, { table, nextSetId, unique })) {
      requests.push(request);
      commandOfRequest.push(index);
    }
  });
  return { requests, commandOfRequest };
}

interface CommandScope {
  readonly table: TableName;
  readonly nextSetId: () => number;
  readonly unique: () => number;
}

function encodeCommand(command: Command, scope: CommandScope): readonly NetlinkRequest[] {
  const { table } = scope;
  const { name } = table;
  const request = requestOf.bind(undefined, table);
  switch (command.op) {
    case "add-table":
      return [request(MSG.NEWTABLE, {
        body(writer) {
          writer.string(TABLE.NAME, name);
          writer.be32(TABLE.FLAGS, 0);
          writer.bytes(TABLE.USERDATA, commentData(command.comment));
        },
      })];
    case "delete-table":
      return [namedRequest(table, MSG.DELTABLE, {})];
    case "add-chain":
      return [request(MSG.NEWCHAIN, {
        flags: NLM_F_CREATE,
        body: (writer) => writeChain(writer, { table: name, chain: command.chain }),
      })];
    case "flush-chain": // a chain without the handle of a rule means all of its rules
      return [namedRequest(table, MSG.DELRULE, { [RULE.CHAIN]: command.chain })];
    case "delete-chain":
      return [namedRequest(table, MSG.DELCHAIN, { [CHAIN.NAME]: command.chain })];
    case "add-rule":
      return encodeRule(command, scope);
    case "add-set": {
      const id = scope.nextSetId();
      return [request(MSG.NEWSET, {
        flags: NLM_F_CREATE,
        body: (writer) => writeSet(writer, { table: name, set: command.set, id }),
      })];
    }
    case "delete-set":
      return [namedRequest(table, MSG.DELSET, { [SET.NAME]: command.set.name })];
    case "add-element":
      return [request(MSG.NEWSETELEM, {
        flags: NLM_F_CREATE,
        body: (writer) => writeElements(writer, { table: name, ...namedElement(command) }),
      })];
    case "delete-element": {
      const { set, element: { key } } = command;
      return [request(MSG.DELSETELEM, {
        body: (writer) =>
          writeElements(writer, { table: name, ...namedElement({ set, element: { key } }) }),
      })];
    }
  }
}

/** A request about something in the table that has a name. */
function namedRequest(
  table: TableName,
  type: number,
  names: Readonly<Record<number, string>>,
): NetlinkRequest {
  return requestOf(table, type, {
    body(writer) {
      writer.string(TABLE.NAME, table.name); // the same number for all kinds of objects
      for (const [attribute, text] of Object.entries(names)) writer.string(Number(attribute), text);
    },
  });
}

function requestOf(
  { family }: TableName,
  type: number,
  { flags = 0, body }: { readonly flags?: number; readonly body: NetlinkRequest["body"] },
): NetlinkRequest {
  return {
    operation: OPERATION,
    type,
    flags,
    body(writer) {
      writeNfgen(writer, FAMILY_NUMBER[family]);
      body(writer);
    },
  };
}

function encodeRule(
  { chain, rule }: { readonly chain: string; readonly rule: Rule },
  { table, nextSetId, unique }: CommandScope,
): readonly NetlinkRequest[] {
  const requests: NetlinkRequest[] = [];
  const references = new Map<Statement, SetReference>();
  for (const statement of rule.statements) {
    const set = anonymousSet(statement, table.family);
    if (set === undefined) continue;
    const reference = { id: nextSetId(), name: anonymousName(set, unique()) };
    references.set(statement, reference);
    requests.push(...encodeAnonymous(set, { table, reference }));
  }
  requests.push(requestOf(table, MSG.NEWRULE, {
    flags: NLM_F_CREATE | NLM_F_APPEND,
    body(writer) {
      writer.string(RULE.TABLE, table.name);
      writer.string(RULE.CHAIN, chain);
      writeRule(writer, { rule, table, setOf: (statement) => references.get(statement) });
    },
  }));
  return requests;
}

/** Writes what a rule says, without where it is. */
export function writeRule(
  writer: MessageWriter,
  { rule, table, setOf }: {
    readonly rule: Rule;
    readonly table: TableName;
    readonly setOf: (statement: Statement) => SetReference | undefined;
  },
): void {
  const mark = writer.open(RULE.EXPRESSIONS);
  writeExpressions(rule, { writer, family: table.family, setOf });
  writer.close(mark);
  if (rule.comment !== undefined) writer.bytes(RULE.USERDATA, commentData(rule.comment));
}

function encodeAnonymous(
  set: AnonymousSet,
  { table, reference }: { readonly table: TableName; readonly reference: SetReference },
): readonly NetlinkRequest[] {
  const create = requestOf(table, MSG.NEWSET, {
    flags: NLM_F_CREATE,
    body: (writer) => writeAnonymousSet(writer, { table: table.name, set, reference }),
  });
  const elements = elementChunks(set.elements).map((chunk) =>
    requestOf(table, MSG.NEWSETELEM, {
      flags: NLM_F_CREATE,
      // By id alone: by name the kernel would first look through all sets of the table.
      body: (writer) =>
        writeElements(writer, { table: table.name, id: reference.id, elements: chunk }),
    })
  );
  return [create, ...elements];
}

function writeChain(
  writer: MessageWriter,
  { table, chain }: { readonly table: string; readonly chain: ChainHead },
): void {
  writer.string(CHAIN.TABLE, table);
  writer.string(CHAIN.NAME, chain.name);
  if (chain.base !== undefined) {
    writer.string(CHAIN.TYPE, chain.base.type);
    const mark = writer.open(CHAIN.HOOK);
    writer.be32(HOOK.NUMBER, HOOK_NAMES.indexOf(chain.base.hook));
    writer.be32(HOOK.PRIORITY, chain.base.priority);
    writer.close(mark);
    if (chain.base.policy !== undefined) {
      writer.be32(CHAIN.POLICY, VERDICT_CODE[chain.base.policy]);
    }
  }
  if (chain.comment !== undefined) writer.bytes(CHAIN.USERDATA, commentData(chain.comment));
}
