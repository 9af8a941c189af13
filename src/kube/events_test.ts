import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ManualClock } from "../../test/support/manual_clock.ts";
import { SILENT } from "../log.ts";
import { ApiError } from "./api_error.ts";
import { type EventRecorder, type ProxyEvent, startEvent, startEventRecorder } from "./events.ts";
import type { JsonObject } from "./json.ts";

interface Written {
  readonly path: string;
  readonly method: string;
  readonly body: JsonObject;
}

/** A recorder whose server refuses the first writes with these statuses. */
function recorder(statuses: readonly number[] = []): {
  recorder: EventRecorder;
  written: Written[];
  clock: ManualClock;
  ended: AbortController;
} {
  const written: Written[] = [];
  const clock = new ManualClock({ skipsUpToMs: 30_000 });
  const ended = new AbortController();
  const rest = [...statuses];
  const client = {
    write(path: string, { method, body }: { method: "POST" | "PATCH"; body: JsonObject }) {
      written.push({ path, method, body });
      const status = rest.shift();
      const detail = { status: status ?? 0, reason: "", message: "no", retryAfterMs: 0 };
      return status === undefined
        ? Promise.resolve({})
        : Promise.reject(new ApiError(method, path, detail));
    },
  };
  const options = { client, hostname: "host", clock, log: SILENT, signal: ended.signal };
  return { recorder: startEventRecorder(options), written, clock, ended };
}

const LISTEN: ProxyEvent = {
  subject: { kind: "Service", namespace: "ns", name: "web", uid: "u" },
  type: "Warning",
  reason: "FailedToStartServiceHealthcheck",
  action: "Listen",
  note: "port 31000 is taken",
};

/** Lets everything happen that does not wait for time. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("EventRecorder writes the start as kube-proxy does, EV-01, EV-04", async () => {
  const { recorder: events, written } = recorder();
  events.record(startEvent("here"));
  await settle();
  deepStrictEqual(written, [{
    path: "/apis/events.k8s.io/v1/namespaces/default/events",
    method: "POST",
    body: {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "here.18867251edfa0000", namespace: "default" },
      eventTime: "2026-01-01T00:00:00.000000Z",
      reportingController: "kube-proxy",
      reportingInstance: "kube-proxy-host",
      action: "StartKubeProxy",
      reason: "Starting",
      type: "Normal",
      note: "",
      regarding: { kind: "Node", name: "here", uid: "here" },
    },
  }]);
});

Deno.test("EventRecorder writes a warning in the namespace of the Service, EV-03", async () => {
  const { recorder: events, written } = recorder();
  events.record({ ...LISTEN, note: "x".repeat(2000) });
  await settle();
  strictEqual(written[0]?.path, "/apis/events.k8s.io/v1/namespaces/ns/events");
  strictEqual(String(written[0]?.body["note"]).length, 1024);
  deepStrictEqual(written[0]?.body["regarding"], {
    kind: "Service",
    name: "web",
    uid: "u",
    namespace: "ns",
    apiVersion: "v1",
  });
});

Deno.test("EventRecorder makes a series of what repeats, told once a minute", async () => {
  const { recorder: events, written, clock } = recorder();
  for (let i = 0; i < 4; i++) {
    events.record(LISTEN);
    clock.advance(25_000);
  }
  await settle();
  deepStrictEqual(written.map(({ method }) => method), ["POST", "PATCH"]);
  deepStrictEqual(written[1]?.body, {
    series: { count: 4, lastObservedTime: "2026-01-01T00:01:15.000000Z" },
  });
  clock.advance(10 * 60_000);
  events.record(LISTEN);
  await settle();
  strictEqual(written[2]?.method, "POST");
});

const REFUSALS: readonly (readonly [number, number])[] = [[0, 2], [429, 2], [500, 2], [403, 1], [
  409,
  1,
]];
for (const [status, want] of REFUSALS) {
  Deno.test(`EventRecorder writes ${want} times when the first time ends with ${status}`, async () => {
    const { recorder: events, written } = recorder([status]);
    events.record(LISTEN);
    await settle();
    strictEqual(written.length, want);
  });
}

Deno.test("EventRecorder gives up after ten tries and takes the next event", async () => {
  const { recorder: events, written } = recorder(Array(10).fill(500));
  events.record(LISTEN);
  events.record(startEvent("here"));
  await settle();
  strictEqual(written.length, 11);
});

Deno.test("EventRecorder keeps at most 100 waiting and stops on abort", async () => {
  const { recorder: events, written, ended } = recorder();
  for (let i = 0; i < 500; i++) events.record({ ...LISTEN, note: String(i) });
  await settle();
  strictEqual(written.length, 101);
  ended.abort();
  events.record(startEvent("here"));
  await settle();
  strictEqual(written.length, 101);
});
