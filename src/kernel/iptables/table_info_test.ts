import { ok, strictEqual, throws } from "node:assert/strict";
import { NetlinkError } from "../netlink/errors.ts";
import { readTables, TableInfoMonitor } from "./table_info.ts";

const ENOENT = 2;
const ENOPROTOOPT = 92;

/** A kernel that has loaded ip_tables, or has not. */
class FakeKernel {
  isLoaded = false;
  size = 1;

  readonly monitor = new TableInfoMonitor({
    read: (tables) => readTables(tables, (table) => this.#readOne(table)),
    [Symbol.dispose]() {},
  });

  #readOne(table: string): string {
    if (this.isLoaded) return `${table} ${this.size}`;
    throw new NetlinkError(`read the size of table ${table}`, { errno: ENOPROTOOPT });
  }
}

Deno.test("the monitor sees changes of others once ip_tables was loaded by a write", () => {
  const kernel = new FakeKernel();
  kernel.monitor.markRead();
  strictEqual(String(kernel.monitor.hasChanged()), "undefined");
  const write = kernel.monitor.startWrite();
  kernel.isLoaded = true;
  strictEqual(String(kernel.monitor.hasChanged()), "undefined");
  write.end({ commits: 1 });
  strictEqual(String(kernel.monitor.hasChanged()), "false");
  kernel.size++;
  ok(kernel.monitor.hasChanged());
  kernel.monitor.markRead();
  strictEqual(String(kernel.monitor.hasChanged()), "false");
});

Deno.test("the monitor sees that tables were taken away", () => {
  const kernel = new FakeKernel();
  kernel.isLoaded = true;
  kernel.monitor.markRead();
  kernel.isLoaded = false;
  ok(kernel.monitor.hasChanged());
});

Deno.test("readTables() hides no other error than that of a module that is not there", () => {
  throws(
    () =>
      readTables(["nat"], () => {
        throw new NetlinkError("read the size of table nat", { errno: ENOENT });
      }),
    /read the size of table nat.*ENOENT/,
  );
});
