// The first module of an executable by `deno compile`: program and map are files inside of it.
const fail = reportFailures(() => Deno.readFileSync(new URL("./vipd.map.gz", import.meta.url)));
try {
  const { main } = await import("./vipd.js");
  Deno.exit(await main(Deno.args));
} catch (error) {
  fail(error);
}
