import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";
import { assertSame, dataOf } from "./lab/page.ts";

/** People need a report when a migration has not worked. */
export const scenario: Scenario = {
  name: "report",
  about: "both ends of a cancelled migration write a report of what happened, without the ticket",
  timeoutMs: 120_000,
  async run(context) {
    const pair = await Pair.start(context);
    const file = `${context.dir}/ticket`;
    const reports = { source: `${context.dir}/source.html`, dest: `${context.dir}/dest.html` };
    const receive = pair.receiveWith([
      ...["--listen", "tcp://127.0.0.1:0", "--ticket-file", file, "--report", reports.dest],
    ]);
    await receive.address();
    const ticket = (await Deno.readTextFile(file)).trim().split("/").at(-1)!;
    const migrate = pair.migrateWith([
      ...["--bandwidth", "10M", "--ticket-file", file, "--report", reports.source],
    ]);
    await migrate.waitEvent("progress", allMove);
    await migrate.waitEvent("traffic");
    migrate.signal("SIGINT");
    await assertExit(migrate, 5, 20_000);
    await assertExit(receive, 5, 20_000);

    for (const [side, ferry] of [["source", migrate], ["dest", receive]] as const) {
      const path = reports[side];
      const text = await Deno.readTextFile(path);
      if (text.includes(ticket)) throw new Error(`The ticket is in the report of ${side}`);
      const data = await dataOf(path);
      assertSame(data, ferry);
      const commands = data.ends.map(({ command }) => command).join(" ");
      const qemus = data.ends.filter(({ qemu }) => qemu !== null).length;
      if (commands !== "migrate receive" || qemus !== 2) {
        throw new Error(`The report of ${side} shows the ends ${JSON.stringify(data.ends)}`);
      }
      const { mode } = await Deno.stat(path);
      if ((mode! & 0o777) !== 0o600) throw new Error(`${path} has mode ${mode!.toString(8)}`);
      if (data.result?.outcome !== "cancelled" || !text.includes("Cancelled: the guest")) {
        throw new Error(`The report of ${side} says ${JSON.stringify(data.result)}`);
      }
      const { atMs, wireBytes } = data.samples;
      if (atMs.length === 0 || !(wireBytes.at(-1)! > 1 << 20)) {
        throw new Error(`${side} has ${atMs.length} samples, the last with ${wireBytes.at(-1)} B`);
      }
    }
    await pair.assertStillAtSource();
  },
};
