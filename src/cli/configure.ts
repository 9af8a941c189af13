/**
 * Arguments and the configuration file -> the effective configuration. With a file nearly every
 * flag is ignored; a few win over it (CLI-09).
 *
 * @module
 */

import { withPort } from "../config/bind_address.ts";
import { completeConfiguration } from "../config/complete.ts";
import { parseConfigDocument } from "../config/document.ts";
import type { Settings } from "../config/fields.ts";
import type { KubeProxyConfiguration } from "../config/types.ts";
import type { Arguments } from "./arguments.ts";

/** What vipd is told, and what was odd about it. */
export interface Configured {
  readonly config: KubeProxyConfiguration;
  /** What strict decoding of the file would have refused. */
  readonly warnings: readonly string[];
}

/**
 * The effective configuration. `fileText` is the content of the file that `--config` names,
 * undefined without that flag.
 *
 * @throws {ConfigError} with everything that is wrong.
 */
export function configure(args: Arguments, fileText: string | undefined): Configured {
  if (fileText === undefined) {
    const config = completeConfiguration(flagSettings(args));
    const isHealthzOff = args.own.healthzPort === 0;
    return { config: isHealthzOff ? { ...config, healthzBindAddress: "" } : config, warnings: [] };
  }
  const { settings, warnings } = parseConfigDocument(fileText, args.own.config);
  const config = completeConfiguration({ ...settings, ...args.beatsFile });
  return { config, warnings };
}

/** Flags alone: those of iptables mode stand for nftables too (CLI-23). */
function flagSettings({ settings, own }: Arguments): Settings {
  const period = settings["iptables.syncPeriod"];
  const minPeriod = settings["iptables.minSyncPeriod"];
  const masqueradeAll = settings["iptables.masqueradeAll"];
  return {
    ...settings,
    ...(period !== undefined && { "nftables.syncPeriod": period }),
    ...(minPeriod !== undefined && { "nftables.minSyncPeriod": minPeriod }),
    ...(masqueradeAll !== undefined && { "nftables.masqueradeAll": masqueradeAll }),
    ...(own.healthzPort &&
      onPort(settings, { field: "healthzBindAddress", port: own.healthzPort })),
    ...(own.metricsPort !== undefined &&
      onPort(settings, { field: "metricsBindAddress", port: own.metricsPort })),
  };
}

const HOSTS = { healthzBindAddress: "0.0.0.0", metricsBindAddress: "127.0.0.1" };

/** The deprecated port flags rewrite the port of the address (CLI-20). */
function onPort(
  settings: Settings,
  { field, port }: { field: keyof typeof HOSTS; port: number },
): Settings {
  const host = (settings[field] || HOSTS[field])
    .replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1");
  return { [field]: withPort(host, port) };
}
