import { whileMirroring } from "../support/failing.ts";
import { Pair } from "../pair/pair.ts";
import { MiB, type PairOptions } from "../pair/pair_options.ts";
import {
  assertExit,
  assertNone,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** The last lines of a QEMU's log are in the messages of both sides. */
export const scenario: Scenario = {
  name: "last_words",
  about: "when QEMU ends, both sides quote its log and do not advise to read it",
  timeoutMs: 120_000,
  async run(context) {
    context.note("the destination's QEMU is ended while disks are copied, and its log was deleted");
    const ended = await started(context, "ended");
    const { receive, migrate } = await whileMirroring(ended);
    await Deno.remove(`${context.dir}/ended/dest.log`);
    ended.destination.signal("SIGTERM");
    await assertExit(migrate, 1, 30_000);
    await assertExit(receive, 1, 30_000);
    const signal = /QEMU shut down \(host-signal\): "[^"]*terminating on signal 15 from pid/;
    for (const ferry of [migrate, receive]) await assertSaid(ferry, signal);
    await ended.assertStillAtSource({ destinationGone: true });

    context.note("the destination's QEMU cannot load the guest");
    // Nothing in QMP shows this difference of the streams.
    const footers = ["-global", "migration.send-section-footer=off"];
    const misfit = await started(context, "misfit", { destinationExtra: footers });
    const second = misfit.receive();
    const first = misfit.migrate(await second.address());
    await assertExit(first, 1);
    await assertExit(second, 1, 30_000);
    for (const ferry of [first, second]) {
      await assertSaid(ferry, REASON);
    }
    await misfit.assertStillAtSource({ destinationGone: true });
    const { error } = await first.waitEvent("result");
    return (error as { message: string }).message;
  },
};

/** From the log; QEMU 11.1 lives on and has the reason in `query-migrate`. */
const REASON =
  /"qemu-system-x86_64: [^"]*Unknown (savevm )?section[^"]*"|load of migration failed: .*: Unknown section/;

async function started(
  context: ScenarioContext,
  name: string,
  options: PairOptions = {},
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  const disks = [{ from: "raw", to: "raw" }] as const;
  return await Pair.start(context, {
    dir,
    bytes: 16 * MiB,
    disks,
    guest: SMALL,
    ...options,
    logged: true,
  });
}

const SMALL = { ring: { start: 2048, length: 4096, runId: 9n } };

async function assertSaid(ferry: Vmferry, words: RegExp): Promise<void> {
  const { error, next } = await ferry.waitEvent("result") as unknown as {
    error: { message: string; side: string };
    next: string[];
  };
  const faults: string[] = [];
  if (!words.test(error.message)) {
    faults.push(`${ferry.name} said "${error.message}", expected ${words}`);
  }
  if (error.side !== "destination") faults.push(`${ferry.name} said it of the ${error.side}`);
  if (/see in .* log/.test(`${error.message} ${next}`)) {
    faults.push(`${ferry.name} sends its user to the log: ${error.message} ${next}`);
  }
  assertNone(faults);
}
