import { ok, strictEqual } from "node:assert/strict";
import { ExecError, type ExecFailure } from "../exec/run.ts";
import { isBusy, isNotFound, isRefused } from "./nft.ts";
import { listingError, transactionError } from "./tool_error.ts";
import type { Transaction } from "./values.ts";

const TRANSACTION: Transaction = {
  table: { family: "ip", name: "kube-proxy" },
  commands: [{ op: "flush-chain", chain: "a" }, { op: "delete-chain", chain: "b" }],
};

function failed(stderr: string, failure: ExecFailure = "exit"): ExecError {
  return new ExecError("nft -f -", { failure, code: 1, stderr });
}

Deno.test("transactionError() names the command in the line that nft complains about", () => {
  const error = transactionError(
    failed(
      "/dev/stdin:2:28-28: Error: Could not process rule: Device or resource busy\n" +
        "delete chain ip kube-proxy b\n                           ^\n",
    ),
    TRANSACTION,
  );
  ok(isRefused(error) && isBusy(error));
  strictEqual(error.index, 1);
  strictEqual(
    error.message,
    'Cannot apply "delete chain ip kube-proxy b": Could not process rule: Device or resource busy',
  );
});

Deno.test("transactionError() blames a transaction on which nft crashed", () => {
  const error = transactionError(failed("", "signal"), TRANSACTION);
  ok(isRefused(error));
  ok(error.message.startsWith("Cannot apply a transaction of 2 commands"), error.message);
});

const UNAVAILABLE = [
  ["not-found", "", /install the package nftables/],
  ["timeout", "", /gave no answer in time/],
  ["exit", "Operation not permitted (you must be root)\n", /CAP_NET_ADMIN/],
  [
    "exit",
    "netlink: Error: cache initialization failed: Operation not permitted\n",
    /CAP_NET_ADMIN/,
  ],
] as const;

for (const [failure, stderr, words] of UNAVAILABLE) {
  Deno.test(`errors of nft say what to do: ${words.source}`, () => {
    for (
      const error of [
        transactionError(failed(stderr, failure), TRANSACTION),
        listingError(failed(stderr, failure)),
      ]
    ) {
      strictEqual(error.failure, "unavailable");
      ok(words.test(error.message), error.message);
    }
  });
}

Deno.test("listingError() knows a table that is not there", () => {
  const stderr = "Error: No such file or directory\nlist table ip x\n              ^\n";
  ok(isNotFound(listingError(failed(stderr))));
});
