/**
 * The numbers behind /metrics: prom-client underneath, fed from what syncs report. Labelled
 * counters exist from the start with the value 0, so that the first failure is an increase.
 *
 * @module
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ProxyMode } from "../config/types.ts";
import type { IpFamily } from "../model/ip.ts";
import { type MetricName, type MetricRow, METRICS } from "./metric_table.ts";

/** Values of labels. */
export type Labels = Readonly<Record<string, string>>;

/** Values that a counter with another label than the family can have: known before they occur. */
const KNOWN_LABELS: Readonly<Record<string, readonly string[]>> = { code: ["200", "503"] };

/** All metrics of one mode. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #followed: (() => Readonly<Record<string, number>>)[] = [];

  constructor(mode: ProxyMode) {
    for (const [name, row] of Object.entries<MetricRow>(METRICS)) {
      if (row.modes === undefined || row.modes.includes(mode)) this.#create(name, row);
    }
  }

  /** The value of the header Content-Type. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Makes the counters of a family appear with 0. */
  serve(family: IpFamily): void {
    for (const [name, row] of Object.entries<MetricRow>(METRICS)) {
      const [label, ...more] = row.labels;
      if (label !== "ip_family" || more.length > 0) continue;
      this.#counters.get(name)?.inc({ ip_family: family }, 0);
    }
  }

  /** Adds to a counter; does nothing where the mode has no such metric. */
  add(name: MetricName, value: number, labels: Labels = {}): void {
    this.#counters.get(name)?.inc({ ...labels }, value);
  }

  /** Sets a gauge. */
  set(name: MetricName, value: number, labels: Labels = {}): void {
    this.#gauges.get(name)?.set({ ...labels }, value);
  }

  /** Observes a value, in seconds for durations. */
  observe(name: MetricName, value: number, labels: Labels = {}): void {
    this.#histograms.get(name)?.observe({ ...labels }, value);
  }

  /** Counters that others count; asked for their values, by name, at each scrape. */
  follow(read: () => Readonly<Record<string, number>>): void {
    this.#followed.push(read);
  }

  /** The Prometheus text format 0.0.4. */
  text(): Promise<string> {
    for (const read of this.#followed) {
      for (const [name, value] of Object.entries(read())) {
        const counter = this.#counters.get(name);
        counter?.reset();
        counter?.inc(value);
      }
    }
    return this.#registry.metrics();
  }

  #create(name: string, row: MetricRow): void {
    const options = {
      name,
      help: `[ALPHA] ${row.help}`,
      labelNames: [...row.labels],
      registers: [this.#registry],
    };
    switch (row.kind) {
      case "counter":
        this.#counters.set(name, initialized(new Counter(options), row));
        break;
      case "gauge":
        this.#gauges.set(name, new Gauge(options));
        break;
      case "histogram":
        this.#histograms.set(name, new Histogram({ ...options, buckets: [...row.buckets ?? []] }));
        break;
    }
  }
}

function initialized(counter: Counter, row: MetricRow): Counter {
  const [label = "", ...more] = row.labels;
  if (more.length > 0) return counter;
  for (const value of KNOWN_LABELS[label] ?? []) counter.inc({ [label]: value }, 0);
  return counter;
}
