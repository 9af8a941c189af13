/**
 * Events of events.k8s.io/v1: what an administrator should find with `kubectl get events`
 * (facts EV-01 to EV-04). They are a courtesy: few, never waited for, and lost rather than in the
 * way. The same event again within minutes becomes a count in its series.
 *
 * @module
 */

import type { Logger } from "../log.ts";
import { ApiError } from "./api_error.ts";
import { backoffMs } from "./backoff.ts";
import type { ApiClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import type { JsonObject } from "./json.ts";

/** The object an event is about. */
export interface EventSubject {
  readonly kind: "Node" | "Service";
  /** "" for a Node. */
  readonly namespace: string;
  readonly name: string;
  /** Of a Node: its name, as kubelet and kube-proxy have it. */
  readonly uid: string;
}

/** Something that happened. */
export interface ProxyEvent {
  readonly subject: EventSubject;
  readonly type: "Normal" | "Warning";
  /** CamelCase, e.g. `FailedToStartServiceHealthcheck`. */
  readonly reason: string;
  /** CamelCase, e.g. `Listen`. */
  readonly action: string;
  /** For people; may be "". */
  readonly note: string;
}

/** Takes events. Never throws, never waits. */
export interface EventRecorder {
  record(event: ProxyEvent): void;
}

/** Without an API server there is nobody to tell. */
export const NO_EVENTS: EventRecorder = { record() {} };

/** What {@linkcode startEventRecorder} needs. */
export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, "write">;
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const API = "/apis/events.k8s.io/v1/namespaces";
const CONTROLLER = "kube-proxy";

/** The API server refuses longer notes. */
const MAX_NOTE_LENGTH = 1024;

/** An event that comes again within this time is the same one going on. */
const SERIES_MS = 6 * 60_000;
/** How often a series is told to the server at most. */
const SERIES_REPORT_MS = 60_000;
const MAX_SERIES = 256;
const MAX_QUEUED = 100;
const MAX_TRIES = 10;

/** Node `name` as kube-proxy refers to it in events (EV-01). */
export function nodeSubject(name: string): EventSubject {
  return { kind: "Node", namespace: "", name, uid: name };
}

/** The first event of every start (EV-01). */
export function startEvent(nodeName: string): ProxyEvent {
  return {
    subject: nodeSubject(nodeName),
    type: "Normal",
    reason: "Starting",
    action: "StartKubeProxy",
    note: "",
  };
}

/** A recorder that writes events in the background until the signal aborts. */
export function startEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

interface Series {
  readonly path: string;
  readonly name: string;
  count: number;
  lastMs: number;
  reportedMs: number;
}

interface Write {
  readonly method: "POST" | "PATCH";
  readonly path: string;
  readonly body: JsonObject;
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #seriesByEvent = new Map<string, Series>();
  readonly #queue: Write[] = [];
  #isWriting = false;
  #sequence = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(event: ProxyEvent): void {
    const nowMs = this.#options.clock.nowMs();
    const key = JSON.stringify(event);
    const series = this.#seriesByEvent.get(key);
    if (series === undefined || nowMs - series.lastMs > SERIES_MS) this.#begin(event, nowMs);
    else this.#repeat(series, nowMs);
  }

  #begin(event: ProxyEvent, nowMs: number): void {
    const path = `${API}/${encodeURIComponent(event.subject.namespace || "default")}/events`;
    // client-go takes nanoseconds; a count keeps events of the same millisecond apart.
    const stamp = BigInt(Math.trunc(nowMs)) * 1_000_000n + BigInt(this.#sequence++ % 1_000_000);
    const name = `${event.subject.name.slice(0, 200)}.${stamp.toString(16)}`;
    const series = { path, name, count: 1, lastMs: nowMs, reportedMs: nowMs };
    this.#seriesByEvent.set(JSON.stringify(event), series);
    const [oldest] = this.#seriesByEvent.keys();
    if (this.#seriesByEvent.size > MAX_SERIES) this.#seriesByEvent.delete(oldest ?? "");
    const body = eventBody(event, { name, nowMs, hostname: this.#options.hostname });
    this.#enqueue({ method: "POST", path, body });
  }

  #repeat(series: Series, nowMs: number): void {
    series.count++;
    series.lastMs = nowMs;
    if (nowMs - series.reportedMs < SERIES_REPORT_MS) return;
    series.reportedMs = nowMs;
    this.#enqueue({
      method: "PATCH",
      path: `${series.path}/${encodeURIComponent(series.name)}`,
      body: { series: { count: series.count, lastObservedTime: microTime(nowMs) } },
    });
  }

  #enqueue(write: Write): void {
    if (this.#queue.length >= MAX_QUEUED) {
      this.#options.log.v(2, "Dropped an event", { path: write.path, reason: "too many waiting" });
      return;
    }
    this.#queue.push(write);
    if (!this.#isWriting) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (let write = this.#queue.shift(); write !== undefined; write = this.#queue.shift()) {
      await this.#write(write);
    }
    this.#isWriting = false;
  }

  async #write(write: Write): Promise<void> {
    const { client, clock, log, signal } = this.#options;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        await client.write(write.path, { ...write, signal });
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (tries === MAX_TRIES || !isPassing(error)) {
          log.v(2, "Dropped an event", { path: write.path, error });
          return;
        }
        const askedMs = error instanceof ApiError ? error.retryAfterMs : 0;
        await clock.sleep(Math.max(askedMs, backoffMs(tries, clock.random)), signal);
      }
    }
  }
}

/** A refusal for good is no reason to try again. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiError &&
    (error.status === 0 || error.status === 429 || error.status >= 500);
}

function eventBody(
  { subject, type, reason, action, note }: ProxyEvent,
  { name, nowMs, hostname }: { name: string; nowMs: number; hostname: string },
): JsonObject {
  const { kind, namespace, uid } = subject;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name, namespace: namespace || "default" },
    eventTime: microTime(nowMs),
    reportingController: CONTROLLER,
    reportingInstance: `${CONTROLLER}-${hostname}`,
    action,
    reason,
    type,
    note: note.slice(0, MAX_NOTE_LENGTH),
    regarding: {
      kind,
      name: subject.name,
      ...(uid !== "" && { uid }),
      ...(namespace !== "" && { namespace, apiVersion: "v1" }),
    },
  };
}

/** MicroTime of the API: six digits behind the second. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
