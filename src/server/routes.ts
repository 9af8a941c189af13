/**
 * Which path answers what on the two servers of the node: health and metrics (HZ-01, MET-01).
 *
 * @module
 */

import type { ProxyMode } from "../config/types.ts";
import type { Healthz } from "./healthz.ts";
import { type HttpHandler, type HttpReply, NOT_FOUND, textReply } from "./http.ts";
import type { MetricName } from "./metric_table.ts";
import type { Metrics } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

/** Paths and what answers them. */
type Routes = ReadonlyMap<string, () => HttpReply | Promise<HttpReply>>;

/** /healthz, /livez and /readyz. */
export function healthHandler(
  { healthz, readiness, metrics }: { healthz: Healthz; readiness: Readiness; metrics: Metrics },
): HttpHandler {
  const counted = (name: MetricName, reply: HttpReply) => {
    metrics.add(name, 1, { code: String(reply.status) });
    return reply;
  };
  return route(
    new Map([
      ["/healthz", () => counted("kubeproxy_proxy_healthz_total", healthz.healthzReply())],
      ["/livez", () => counted("kubeproxy_proxy_livez_total", healthz.livezReply())],
      ["/readyz", () => readiness.reply()],
    ]),
  );
}

/** /healthz, /metrics and /proxyMode. */
export function metricsHandler(
  { metrics, mode }: { metrics: Metrics; mode: ProxyMode },
): HttpHandler {
  return route(
    new Map<string, () => HttpReply | Promise<HttpReply>>([
      ["/healthz", () => textReply(200, "ok")],
      ["/healthz/ping", () => textReply(200, "ok")],
      ["/metrics", async () => ({
        status: 200,
        headers: { "Content-Type": metrics.contentType },
        body: await metrics.text(),
      })],
      ["/proxyMode", () => textReply(200, mode)],
    ]),
  );
}

function route(routes: Routes): HttpHandler {
  return ({ path }) => routes.get(path)?.() ?? NOT_FOUND;
}
