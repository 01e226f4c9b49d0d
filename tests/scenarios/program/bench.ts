import { project, run } from "../../../tools/run.ts";
import type { Scenario } from "../support/scenario.ts";

interface Report {
  readonly rows: readonly {
    readonly row: string;
    readonly rates: Readonly<Record<string, { readonly median: number }>>;
    readonly roundTrips: { readonly count: number } | null;
  }[];
}

/** Shows that the benchmark works, and nothing about speed. */
export const scenario: Scenario = {
  name: "bench",
  about: "every row of the benchmark carries some data through every column",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const json = `${context.dir}/bench.json`;
    const args = ["--rounds", "1", "--mib", "16", "--json", json];
    await run(Deno.execPath(), ["run", "-A", project("tools/bench/main.ts"), ...args]);
    const { rows } = JSON.parse(await Deno.readTextFile(json)) as Report;
    for (const { row, rates, roundTrips } of rows) {
      for (const [column, { median }] of Object.entries(rates)) {
        if (!(median > 1)) throw new Error(`${row}, ${column}: ${median} MB/s`);
      }
      if (row.startsWith("vmferry") && !(roundTrips && roundTrips.count > 0)) {
        throw new Error(`${row}: no round trip of the RPC was measured`);
      }
    }
    return `${rows.length} rows`;
  },
};
