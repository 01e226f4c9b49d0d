import { BUSY, whileInRam } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairOptions } from "../pair/pair_options.ts";
import { assertExit, type Scenario, type ScenarioContext } from "../support/scenario.ts";

/** A guest that changes its RAM or its disks faster than they are copied. */
export const scenario: Scenario = {
  name: "converge",
  about:
    "a copy that does not converge causes a warning with the rates, and a pause or write-blocking ends it",
  timeoutMs: 400_000,
  long: true,
  ramInPasses: true,
  async run(context) {
    const said: unknown[] = [];
    context.note("RAM: a warning, then a pause, then a cancel: the guest runs again at the source");
    const pair = await started(context, "ram", { gated: true, guest: BUSY });
    const suspending = ["--timeout", "45", "--timeout-action", "suspend"];
    const first = await whileInRam(pair, "4M", suspending);
    said.push((await first.migrate.waitEvent("warning", is("ram-not-converging"))).message);
    await first.migrate.waitEvent("warning", is("guest-suspended"));
    await pair.source.events.waitFor("the guest to stop", (e) => e.event === "STOP");
    first.migrate.signal("SIGINT");
    await assertExit(first.migrate, 5);
    // QEMU 7.2 ends when a migration that has begun is cut off; its receive may report that first, or
    // the cancel.
    await first.receive.exit();
    await pair.assertStillAtSource({ destinationGone: true });

    context.note("RAM: paused for the rest, the guest arrives and runs");
    const other = await started(context, "ram2", { gated: true, guest: BUSY });
    const second = await whileInRam(other, "4M", ["--timeout", "5", "--timeout-action", "suspend"]);
    await second.migrate.waitEvent("warning", is("guest-suspended"));
    await assertExit(second.migrate, 0, 120_000);
    await assertExit(second.receive, 0);
    await other.assertArrived();

    context.note("a disk: a warning, then write-blocking where QEMU has it, else a pause");
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
    // Copied once; from then on far slower than even a guest on a busy machine writes.
    await migrate.waitEvent("progress", (e) => {
      const [{ transferred }] = e.disks as [{ transferred: number }];
      return transferred >= 8 * MiB;
    });
    await disk.set("bandwidth=128K");
    const code = canBlock ? "mirror-write-blocking" : "mirror-not-converging";
    said.push((await migrate.waitEvent("warning", is(code), 120_000)).message);
    if (canBlock) await migrate.waitEvent("phase", (e) => e.phase === "ram", 120_000);
    else await disk.source.events.waitFor("the guest to stop", (e) => e.event === "STOP", 120_000);
    // The rest and the RAM need not take long.
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
