/**
 * `make bench-startup`: how long the built file takes to start, and its size, in the kinds that can be
 * built here. `startup.ts [--runs N] FILE...`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { median, quantile } from "./ground.ts";
import { vmferryPath } from "./relays/relays.ts";
import { table } from "./report.ts";
import { run } from "../run.ts";

const args = parseArgs(Deno.args, { string: ["runs"] });
const runs = Number(args.runs ?? 20);
const files = args._.length > 0 ? args._.map(String) : [vmferryPath()];

// An empty cache: the first start of a packed file unpacks it, and is reported separately.
const cache = await Deno.makeTempDir({ prefix: "vmferry-bench-" });
Deno.env.set("XDG_CACHE_HOME", cache);
const taken = new Map<string, number[]>(files.map((file) => [file, []]));
const first = new Map<string, number>();
for (const file of files) first.set(file, await start(file));
for (let i = 0; i < runs; i++) {
  for (const file of files) taken.get(file)!.push(await start(file));
}
const rows = await Promise.all(files.map(async (file) => {
  const ms = taken.get(file)!;
  return [
    (await run(file, ["--version"])).trim(),
    `${((await Deno.stat(file)).size / 2 ** 20).toFixed(1)} MiB`,
    `${first.get(file)!.toFixed(0)} ms`,
    `${median(ms).toFixed(0)} ms`,
    `${Math.min(...ms).toFixed(0)} ms`,
    `${quantile(ms, 0.9).toFixed(0)} ms`,
  ];
}));
await Deno.remove(cache, { recursive: true });
table([["file", "size", "first start", "median", "least", "p90"], ...rows]);

/** From its start to its end, ms. */
async function start(file: string): Promise<number> {
  const before = performance.now();
  await run(file, ["--version"]);
  return performance.now() - before;
}
