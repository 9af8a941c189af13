/**
 * `deno task docs`: writes the references in docs/.
 *
 * @module
 */

import { configurationText, metricsText } from "./references.ts";

await Deno.writeTextFile("docs/configuration.md", configurationText());
await Deno.writeTextFile("docs/metrics.md", metricsText());
