import { rejects } from "node:assert/strict";
import { ExecError, run } from "./run.ts";

// Unit tests may start nothing, as an executable that did not find the tool when it started.
Deno.test("run() says what to do about a tool that came after vipd", async () => {
  await rejects(run("sh", ["-c", "true"]), (error: unknown) => {
    return error instanceof ExecError && error.failure === "not-allowed" &&
      /Cannot run "sh -c true": .*start vipd again/.test(error.message);
  });
});
