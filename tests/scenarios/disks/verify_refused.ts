import { Pair } from "../pair/pair.ts";
import { FEW_BLOCKS, heldAtComparison, verifiedBy, VERIFY } from "../pair/flips.ts";
import {
  assertExit,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";

const BYTES = 16 << 20;
const THREAD = [{ from: "raw", to: "raw", bus: "scsi-iothread" }] as const;

export const scenario: Scenario = {
  name: "verify_refused",
  about:
    "--verify is refused where QEMU cannot export its disks, and a cancel or recover leaves none",
  timeoutMs: 240_000,
  slow: true,
  async run(context) {
    await inUse(context);
    return await withThread(context);
  },
};

async function inUse(context: ScenarioContext): Promise<void> {
  context.note("somebody uses the NBD server of the source's QEMU");
  const pair = await Pair.start(context, { bytes: BYTES, gated: true });
  const { source } = pair;
  const addr = { type: "unix", data: { path: `${context.dir}/own.sock` } };
  await source.execute("nbd-server-start", { addr });
  const receive = pair.receive();
  const address = await receive.address();
  await assertRefused(pair.migrate(address, ["--verify"]), /NBD server already running/);
  await source.execute("nbd-server-stop");

  context.note("a cancel while the disks are compared");
  const { migrate, held } = await heldAtComparison(
    pair.gates.source,
    () => pair.migrate(address, ["--verify"]),
  );
  migrate.signal("SIGTERM");
  held.release();
  await assertExit(migrate, 5);
  await assertExit(receive, 5);
  await pair.assertStillAtSource();

  context.note("recover removes what a killed process left");
  const other = pair.receive();
  const { migrate: killed, held: left } = await heldAtComparison(
    pair.gates.source,
    async () => pair.migrate(await other.address(), ["--verify"]),
  );
  killed.signal("SIGKILL");
  await killed.exit();
  left.release();
  await assertExit(pair.recover("source", ["--yes"]), 0);
  other.signal("SIGTERM");
  await other.exit();
  await pair.assertStillAtSource();
}

async function withThread(context: ScenarioContext): Promise<string> {
  context.note("a disk with an iothread");
  const dir = `${context.dir}/t`;
  await Deno.mkdir(dir);
  const pair = await Pair.start(context, { bytes: BYTES, disks: THREAD, guest: FEW_BLOCKS, dir });
  const { qemu: { major } } = await pair.source.execute("query-version") as {
    qemu: { major: number };
  };
  const receive = pair.receive();
  const address = await receive.address();
  if (major < 10) {
    await assertRefused(pair.migrate(address, ["--verify"]), /before 10\.0/);
    return `QEMU ${major}: refused with an iothread`;
  }
  const killed = pair.migrate(address, ["--verify", "--bandwidth", "8M"]);
  await killed.waitEvent("phase", (e) => e.phase === "verify");
  killed.signal("SIGKILL");
  await killed.exit();
  const migrate = pair.migrate(address, ["--resume", ...VERIFY]);
  await migrate.exit();
  // RAM may have crossed already when it was killed.
  if (migrate.events.entries.some((e) => e.event === "phase" && e.phase === "verify")) {
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    if (verifiedBy(migrate)[0]?.unproved !== 0) throw new Error("Not all blocks are proved");
    await pair.assertArrived();
  }
  return `QEMU ${major}: compared with an iothread`;
}
