/**
 * Feature gates that kube-proxy 1.36 knows on Linux (CLI-11): those its own code reads and those
 * of the libraries in it.
 *
 * @module
 */

/** One gate. */
export interface Gate {
  readonly initial: boolean;
  /** Graduated: may be named, not changed. */
  readonly isLocked: boolean;
}

/** All gates by name. */
export const GATES: ReadonlyMap<string, Gate> = new Map([
  ["AllAlpha", { initial: false, isLocked: false }],
  ["AllBeta", { initial: false, isLocked: false }],
  ["AllowServiceExternalIPs", { initial: true, isLocked: false }],
  ["ComponentFlagz", { initial: true, isLocked: false }],
  ["ComponentStatusz", { initial: true, isLocked: false }],
  ["ContextualLogging", { initial: true, isLocked: false }],
  ["LoggingAlphaOptions", { initial: false, isLocked: false }],
  ["LoggingBetaOptions", { initial: true, isLocked: false }],
  ["MultiCIDRServiceAllocator", { initial: true, isLocked: true }],
  ["NFTablesProxyMode", { initial: true, isLocked: true }],
  ["PreferSameTrafficDistribution", { initial: true, isLocked: false }],
  ["WatchListClient", { initial: true, isLocked: false }],
]);

/** Why a gate may not be set to this value; undefined when it may. */
export function gateProblem(name: string, enabled: boolean): string | undefined {
  const gate = GATES.get(name);
  if (gate === undefined) return `unrecognized feature gate: ${name}`;
  if (gate.isLocked && enabled !== gate.initial) {
    return `cannot set feature gate ${name} to ${enabled}, feature is locked to ${gate.initial}`;
  }
  return undefined;
}
