/**
 * What `--help` and `--version` print.
 *
 * @module
 */

import { formatDuration } from "../config/duration.ts";
import { type FieldKind, FIELDS } from "../config/fields.ts";
import { type Flag, FLAGS } from "./flags.ts";
import { KUBERNETES_VERSION, VIPD_COMMIT, VIPD_VERSION } from "./version.ts";

/** Column where the texts of the flags start. */
const TEXT_COLUMN = 45;

/** The usage, one flag a line. */
export function helpText(): string {
  return [
    "vipd makes Services of Kubernetes answer on this node, in place of kube-proxy.",
    "",
    "Usage:",
    "  vipd [flags]",
    "  vipd install [--check] [--timeout=60s]   be a systemd service, in place of kube-proxy's",
    "  vipd uninstall [--check]                 go back",
    "",
    "Flags:",
    ...FLAGS.filter((flag) => !flag.hidden).map(flagLine),
    "",
  ].join("\n");
}

/** What `--version` or `--version=raw` prints. */
export function versionText(kind: string): string {
  if (kind !== "raw") return `Kubernetes ${KUBERNETES_VERSION}\n`;
  const [major, minor] = KUBERNETES_VERSION.slice(1).split(".");
  return `version.Info{Major:"${major}", Minor:"${minor}", GitVersion:"${KUBERNETES_VERSION}", ` +
    `Vipd:"${VIPD_VERSION}", GitCommit:"${VIPD_COMMIT}"}\n`;
}

function flagLine(flag: Flag): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const kind = flag.bare === undefined ? ` ${isDuration(flag.kind) ? "duration" : flag.kind}` : "";
  const left = `  ${short}--${flag.name}${kind}`.padEnd(TEXT_COLUMN);
  const initial = initialText(flag);
  return `${left} ${flag.help}${initial && ` (default ${initial})`}`;
}

function isDuration(kind: FieldKind): boolean {
  return kind === "duration" || kind === "looseDuration";
}

function initialText({ sets }: Flag): string {
  if (!("field" in sets)) return "";
  const { kind, initial } = FIELDS[sets.field];
  if (typeof initial === "number") {
    return isDuration(kind) ? formatDuration(initial) : String(initial);
  }
  if (typeof initial === "boolean") return initial ? "true" : "";
  return typeof initial === "string" ? initial && JSON.stringify(initial) : "";
}
