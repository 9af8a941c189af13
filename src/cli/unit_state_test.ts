import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { hasEnded, isAtWork, parseExecStart, parseUnitState } from "./unit_state.ts";

const SHOWN =
  "{ path=/usr/bin/kube-proxy ; argv[]=/usr/bin/kube-proxy --a=b --c ; ignore_errors=no }";
const EXEC_ROWS = [
  [SHOWN, ["--a=b", "--c"]],
  ["{ path=/x ; argv[]=/x ; ignore_errors=no }", []],
  ["{ path=/x ; argv[]=/x $ARGS ; ignore_errors=no }", undefined],
] as const;
for (const [text, want] of EXEC_ROWS) {
  Deno.test(`parseExecStart() of ${text}`, () => deepStrictEqual(parseExecStart(text), want));
}

Deno.test("parseUnitState() of a service that runs", () => {
  const text = `Restart=always
ExecStart=${SHOWN}
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/etc/systemd/system/kube-proxy.service
UnitFileState=enabled
InvocationID=0123abc
`;
  deepStrictEqual(parseUnitState(text), {
    load: "loaded",
    active: "active",
    sub: "running",
    isEnabled: true,
    file: "/etc/systemd/system/kube-proxy.service",
    invocation: "0123abc",
    args: ["--a=b", "--c"],
  });
});

Deno.test("parseUnitState() of a unit that does not exist", () => {
  const { load, active, isEnabled, args } = parseUnitState("LoadState=not-found\n");
  deepStrictEqual({ load, active, isEnabled, args }, {
    load: "not-found",
    active: "",
    isEnabled: false,
    args: [],
  });
});

const STATE_ROWS = [
  ["active", "running", true, false],
  ["activating", "start", true, false],
  ["activating", "auto-restart", true, true],
  ["inactive", "dead", false, true],
  ["failed", "failed", false, true],
] as const;
for (const [active, sub, atWork, ended] of STATE_ROWS) {
  Deno.test(`a unit that is ${active} (${sub})`, () => {
    const state = { ...parseUnitState(""), active, sub };
    strictEqual(isAtWork(state), atWork);
    strictEqual(hasEnded(state), ended);
  });
}
