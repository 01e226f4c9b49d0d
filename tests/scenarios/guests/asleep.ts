import { Pair } from "../pair/pair.ts";
import type { PairOptions } from "../pair/pair_options.ts";
import {
  assertExit,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { allMove } from "../support/vmferry.ts";
import { poll } from "../support/waiting.ts";

/** A guest in S3. */
export const scenario: Scenario = {
  name: "asleep",
  about:
    "a guest that falls asleep during a migration arrives asleep and wakes there, or stays at the source",
  timeoutMs: 240_000,
  async run(context) {
    const pair = await Pair.start(context, { bytes: 24 << 20 });
    const receive = pair.receive();
    const address = await receive.address();
    const migrate = pair.migrate(address, ["--bandwidth", "4M"]);
    await migrate.waitEvent("progress", allMove);
    await sleep(pair);
    if (pair.source.atLeast(9, 0) && pair.destination.atLeast(9, 0)) {
      await pair.set("bandwidth=none");
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      await stands(pair.destination.status(), "suspended");
      await pair.destination.execute("system_wakeup");
      await pair.destination.events.waitFor("the guest to wake", (e) => e.event === "WAKEUP");
      await cancelledLate(context);
      await crashedLate(context);
      await misfit(context);
      return "crossed asleep, woke at the destination";
    }
    await assertExit(migrate, 1, 30_000);
    const { error } = await migrate.waitEvent("result");
    if ((error as { code: string }).code !== "guest-asleep") {
      throw new Error(`It failed with ${JSON.stringify(error)}`);
    }
    await assertExit(receive, 1);
    await pair.assertStillAtSource({ status: "suspended" });
    if (pair.source.atLeast(9, 0)) return "stayed, the destination's QEMU does not take it";
    await assertRefused(pair.migrate(address), /The guest sleeps/);
    await pair.source.execute("system_wakeup");
    await pair.source.events.waitFor("the guest to wake", (e) => e.event === "WAKEUP");
    return "stayed asleep, woke at the source";
  },
};

/** QEMU aborts when it resumes such a guest after `completed`, so the source cannot run it again. */
async function cancelledLate(context: ScenarioContext): Promise<void> {
  context.note("cancel once the source's QEMU has completed its migration: the guest arrives");
  const { pair, migrate, receive, loading } = await completed(context, "cancelled");
  migrate.signal("SIGTERM");
  loading.release();
  await assertExit(migrate, 0);
  await assertExit(receive, 0);
  await stands(pair.destination.status(), "suspended");
}

async function crashedLate(context: ScenarioContext): Promise<void> {
  context.note(
    "the destination's QEMU is killed at that point: vmferry does not end the source's by cont",
  );
  const { pair, migrate, receive } = await completed(context, "crashed");
  await pair.destination.crash();
  await assertExit(migrate, 4, 30_000);
  await assertExit(receive, 1, 30_000);
  const { error, next } = await migrate.waitEvent("result");
  if (
    (error as { code: string }).code !== "guest-asleep-stuck" || !/system_reset/.test(`${next}`)
  ) {
    throw new Error(`It failed with ${JSON.stringify({ error, next })}`);
  }
  await assertExit(pair.recover("source", ["--yes"]), 1);
  await stands(pair.source.status(), "postmigrate");
  // The advice that vmferry gives.
  const before = await pair.source.counter();
  await pair.source.execute("system_reset");
  await pair.source.events.waitFor("the reset", (e) => e.event === "RESET");
  await pair.source.execute("cont");
  await stands(pair.source.status(), "running");
  await poll("the guest to start anew", async () => {
    const counter = await pair.source.counter();
    return counter > 10 && counter !== before ? true : undefined;
  });
}

/** The source's QEMU does not complete before the destination's has loaded the guest (return-path). */
async function misfit(context: ScenarioContext): Promise<void> {
  context.note("the destination cannot load the guest: it stays asleep at the source");
  const pair = await small(context, "misfit", {
    sourceExtra: ["-device", "virtio-rng-pci,addr=0x9"],
  });
  await sleep(pair);
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address(), ["--allow", "device"]);
  await assertExit(migrate, 1);
  await assertExit(receive, 1);
  await pair.assertStillAtSource({ status: "suspended", destinationGone: true });
  await pair.source.execute("system_wakeup");
  await pair.source.events.waitFor("the guest to wake", (e) => e.event === "WAKEUP");
}

async function small(
  context: ScenarioContext,
  name: string,
  options: PairOptions = {},
): Promise<Pair> {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  return await Pair.start(context, {
    ...{ dir, bytes: 4 << 20, disks: [{ from: "raw", to: "raw" }] },
    guest: { ring: { start: 2048, length: 1024, runId: 5n } },
    ...options,
  });
}

/** A migration of a guest that sleeps, whose source has completed and whose destination has not. */
async function completed(context: ScenarioContext, name: string) {
  const pair = await small(context, name, { gated: true });
  await sleep(pair);
  const copying = pair.gates.source.hold("blockdev-mirror");
  const receive = pair.receive();
  const migrate = pair.migrate(await receive.address());
  await copying.arrived;
  // The comparison of the disks has used an NBD server too.
  const loading = pair.gates.destination.hold("nbd-server-stop");
  copying.release();
  await loading.arrived;
  await pair.source.events.waitFor(
    "the source to complete",
    (e) => e.event === "MIGRATION" && e.data.status === "completed",
  );
  return { pair, migrate, receive, loading };
}

/** SLP_EN with SLP_TYP 1 in PM1a_CNT of q35, which is how a guest goes to sleep. */
async function sleep(pair: Pair): Promise<void> {
  await pair.source.execute("human-monitor-command", { "command-line": "o/h 0x604 0x2400" });
}

async function stands(status: Promise<string>, expected: string): Promise<void> {
  if (await status !== expected) throw new Error(`It is ${await status}, expected ${expected}`);
}
