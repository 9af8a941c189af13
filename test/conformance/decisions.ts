/**
 * Where vipd does better than what was captured, on purpose: its own expected files below
 * `vipd/CASE/MODE/STEP/`, each directory with a `reason` that starts with a row of the table "What
 * vipd decides" of the project's facts. Nothing else may differ, and nothing may be listed here
 * that does not differ.
 *
 * @module
 */

import { capturedState, type Mode, readFiles, type State } from "./cases.ts";

const DECISIONS = new URL("vipd/", import.meta.url);

/** Rows of the table that can be seen in the kernel. */
const ROWS = [
  "CLEAN-01",
  "CLEAN-02",
  "CLEAN-04",
  "CLI-31",
  "CT-03",
  "CT-04",
  "CT-07",
  "IPT-24",
  "IPT-25",
  "IPVS-21",
  "IPVS-22",
  "NFT-13",
  "NODE-05",
  "NODE-06",
  "SYNC-09",
  "SYNC-14",
];

/** What is expected of vipd after a step. */
export interface Expectation {
  readonly state: State;
  /** Files that are vipd's own. */
  readonly own: readonly string[];
  /** What is wrong with the list of decisions itself. */
  readonly problems: readonly string[];
}

/** The captured state with vipd's own files in place of captured ones. */
export function expectedState(name: string, step: { mode: Mode; number: string }): Expectation {
  const captured = capturedState(name, step);
  const decided = readFiles(new URL(`${name}/${step.mode}/${step.number}/`, DECISIONS));
  if (decided.size === 0) return { state: captured, own: [], problems: [] };
  const own = [...decided.keys()].filter((file) => file !== "reason");
  const state = new Map(captured);
  for (const file of own) {
    const text = decided.get(file) ?? "";
    if (text === "") state.delete(file);
    else state.set(file, text);
  }
  const needless = own.filter((file) => (captured.get(file) ?? "") === decided.get(file));
  const reason = decided.get("reason") ?? "";
  const isKnown = ROWS.some((row) => reason.startsWith(`${row}:`));
  const problems = [
    ...needless.map((file) => `vipd's own ${file} is what was captured: remove it`),
    ...(isKnown ? [] : [`its reason does not name a decision: "${reason.trim()}"`]),
  ];
  return { state, own, problems };
}
