import { BUSY, whileInRam } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairOptions } from "../pair/pair_options.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

/** A guest that changes its memory or its disks faster than they cross. */
export const scenario: Scenario = {
  name: "converge",
  about:
    "what never gets done by itself is told with the rates; suspending or write-blocking ends it",
  timeoutMs: 400_000,
  async run(context) {
    const said: unknown[] = [];
    context.note("memory: told, then suspended, then cancelled: it runs again at the source");
    const pair = await started(context, "ram", { gated: true, guest: BUSY });
    const suspending = ["--timeout", "45", "--timeout-action", "suspend"];
    const first = await whileInRam(pair, "4M", suspending);
    said.push((await first.migrate.waitEvent("warning", is("ram-not-converging"), 90_000)).message);
    await first.migrate.waitEvent("warning", is("guest-suspended"), 90_000);
    await pair.source.events.waitFor("the guest to stop", (e) => e.event === "STOP");
    first.migrate.signal("SIGINT");
    await assertExit(first.migrate, 5);
    // QEMU 7.2 ends when a migration that has begun breaks off; which of the two its receive hears
    // of first, that or the cancelling, is all the same here.
    await first.receive.exit();
    await pair.assertStillAtSource({ destinationGone: true });

    context.note("memory: suspended, it arrives and runs there");
    const other = await started(context, "ram2", { gated: true, guest: BUSY });
    const second = await whileInRam(other, "4M", ["--timeout", "5", "--timeout-action", "suspend"]);
    await second.migrate.waitEvent("warning", is("guest-suspended"), 90_000);
    await assertExit(second.migrate, 0, 120_000);
    await assertExit(second.receive, 0);
    await other.assertArrived();

    context.note("a disk: told, then helped by QEMU where it can, else by suspending");
    const disk = await started(context, "disk", {
      ...{ bytes: 8 * MiB, disks: [{ from: "raw", to: "raw" }] },
      guest: { waitUs: 0, ramPages: 0, ramStep: 0 },
    });
    const receive = disk.receive();
    const commands = await disk.source.execute<{ name: string }[]>("query-commands");
    const canBlock = commands.some((c) => c.name === "block-job-change");
    const migrate = disk.migrate(await receive.address(), [
      ...["--bandwidth", "512K"],
      ...(canBlock ? [] : ["--timeout", "100", "--timeout-action", "suspend"]),
    ]);
    // Once through; from then on far less than even a guest on a busy machine writes.
    await migrate.waitEvent("progress", (e) => {
      const [{ transferred }] = e.disks as [{ transferred: number }];
      return transferred >= 8 * MiB;
    });
    await disk.set("bandwidth=128K");
    const code = canBlock ? "mirror-write-blocking" : "mirror-not-converging";
    said.push((await migrate.waitEvent("warning", is(code), 120_000)).message);
    if (canBlock) await migrate.waitEvent("phase", (e) => e.phase === "ram", 120_000);
    else await disk.source.events.waitFor("the guest to stop", (e) => e.event === "STOP", 120_000);
    // What is left, and the memory, need not take long.
    await disk.set("bandwidth=none");
    await assertExit(migrate, 0, 120_000);
    await assertExit(receive, 0);
    await disk.assertArrived();
    return said.join("\n  ");
  },
};

function is(code: string) {
  return (event: { readonly [member: string]: unknown }) => event.code === code;
}

async function started(
  context: ScenarioContext,
  name: string,
  options: PairOptions,
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, { dir, bytes: 16 * MiB, ...options });
}
