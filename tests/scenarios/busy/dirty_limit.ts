import { assertRefused, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { runVmferry, type Vmferry } from "../support/vmferry.ts";
import { busy, BusyPair, largestThrottle } from "./lab/busy_pair.ts";

/** What the guest changes, MiB per second, and of how much RAM. */
const GUEST = { mibPerSecond: 60, mib: 48 } as const;
/** Less than the guest changes: without a limit it does not converge. */
const BANDWIDTH = ["--bandwidth", "24M"];
/**
 * Entries: the fewest that KVM accepts. QEMU lets a limited vCPU sleep for as long as the pages of a full ring may
 * take, and each pass over RAM waits for that.
 */
const RING = 1024;
/** MiB per second. */
const LIMIT = 8;
const DIRTY_LIMIT = ["--dirty-limit", `${LIMIT}M`];

/** A limit for each vCPU, in place of a throttle. */
export const scenario: Scenario = {
  name: "dirty_limit",
  about: "with --dirty-limit QEMU limits a busy guest until it has arrived, or vmferry refuses",
  timeoutMs: 400_000,
  long: true,
  async run(context) {
    context.note("a source's QEMU without a dirty ring: check and migrate refuse");
    const without = await BusyPair.start(context, {
      ...{ name: "without", sector: busy(GUEST), memoryMiB: 96 },
    });
    const has = without.source.atLeast(8, 1);
    const why = has ? /dirty-ring-size=1024/ : /no dirty limit; 8\.1 and later/;
    await assertCheck(without, 3, why);
    const { migrate, receive } = await without.migrate(...BANDWIDTH, ...DIRTY_LIMIT);
    await assertRefused(migrate, why);
    receive.signal("SIGTERM");
    await receive.exit();
    const { status } = await without.source.execute<{ status: string }>("query-status");
    if (status !== "running") throw new Error(`The guest is ${status}`);
    await without.end();
    if (!has) return "refused: QEMU before 8.1";

    context.note("with KVM's dirty ring");
    const pair = await BusyPair.start(context, {
      ...{ name: "ring", sector: busy(GUEST), memoryMiB: 96, accel: "kvm", dirtyRing: RING },
    });
    await pair.running();
    const before = await settings(pair);
    await assertCheck(pair, 0, /vd0/);
    if (await settings(pair) !== before) throw new Error("check has changed QEMU's settings");
    const ferries = await pair.migrate(...BANDWIDTH, ...DIRTY_LIMIT);
    const limit = await limited(pair, ferries.migrate);
    const { totalMs, pauseMs } = await pair.arrived(ferries, 200_000);
    const events = ferries.migrate.events.entries;
    if (events.some((e) => e.event === "ladder") || largestThrottle(events) > 0) {
      throw new Error("The ladder throttled a guest with a dirty limit");
    }
    if (await settings(pair) !== before) throw new Error("The source's settings have changed");
    await pair.assertWhole();
    await pair.end();
    return `the vCPU was limited to ${limit} MiB/s; ${
      Number(totalMs) / 1000
    } s, pause ${pauseMs} ms`;
  },
};

async function assertCheck({ source }: BusyPair, code: number, words: RegExp): Promise<void> {
  const said = await runVmferry(["check", "--qmp", source.qmpSocket, ...DIRTY_LIMIT], 60_000);
  const all = said.stdout + said.stderr;
  if (said.code === code && words.test(all)) return;
  throw new Error(`check: got ${said.code}, expected ${code}: ${all}`);
}

async function settings({ source }: BusyPair): Promise<string> {
  return JSON.stringify([
    await source.execute("query-migrate-capabilities"),
    await source.execute("query-migrate-parameters"),
  ]);
}

/** Waits until QEMU limits the guest; fails when the migration ends before. */
async function limited({ source }: BusyPair, migrate: Vmferry): Promise<number> {
  return await poll("QEMU to limit the guest", async () => {
    const limits = await source.execute<{ "limit-rate": number }[]>("query-vcpu-dirty-limit");
    if (limits.length > 0) return limits[0]!["limit-rate"];
    const isOver = migrate.events.entries.some((e) => e.event === "result");
    if (isOver) throw new Error("The migration ended without a limit");
    return undefined;
  }, 120_000);
}
