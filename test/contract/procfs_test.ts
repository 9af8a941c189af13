/**
 * Kernel parameters through the C library, without Deno's permission for everything.
 * Needs: --allow-ffi. Writes only below /proc/self.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  isMissing,
  ProcFileError,
  readProcFile,
  writeProcFile,
} from "../../src/kernel/procfs/file.ts";
import { SysctlError, SYSCTLS } from "../../src/kernel/procfs/sysctl.ts";

Deno.test("readProcFile() reads files that tell no size, however long", () => {
  assert.match(readProcFile("/proc/self/status"), /^Name:/);
  assert.ok(readProcFile("/proc/self/smaps").length > 64 * 1024);
});

Deno.test("readProcFile() names what is missing", () => {
  assert.throws(() => readProcFile("/proc/self/no-such"), (error) => {
    assert.ok(error instanceof ProcFileError && isMissing(error));
    assert.match(error.message, /Cannot read \/proc\/self\/no-such: ENOENT/);
    return true;
  });
});

Deno.test("writeProcFile() writes a value the kernel takes and reports one it does not", () => {
  const path = "/proc/self/oom_score_adj";
  writeProcFile(path, "123");
  assert.equal(readProcFile(path).trim(), "123");
  assert.throws(() => writeProcFile(path, "123456"), /Cannot write .*: EINVAL/);
});

Deno.test("SYSCTLS.read() is undefined for a parameter that the kernel does not have", () => {
  assert.equal(SYSCTLS.read("net/ipv4/vipd_no_such"), undefined);
  assert.match(SYSCTLS.read("net/ipv4/ip_forward") ?? "", /^[01]$/);
});

Deno.test("SYSCTLS.ensure() throws with the name and value and never makes a file", () => {
  const missing = () => SYSCTLS.ensure("net/ipv4/vipd_no_such", "1");
  assert.throws(missing, (error) => error instanceof SysctlError && error.value === "1");
  assert.throws(missing, /Cannot set sysctl net\/ipv4\/vipd_no_such to "1"/);
});
