import { Pair } from "../pair/pair.ts";
import { MiB } from "../pair/pair_options.ts";
import { FEW_BLOCKS, verifiedBy, VERIFY } from "../pair/flips.ts";
import { QmpGate } from "../support/qmp_gate.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";

/** What would disturb a comparison or a migration that runs. */
const HARMFUL =
  /^(nbd-server|block-export|blockdev|block-job|job|migrate$|migrate-set|cont$|stop$)/;

export const scenario: Scenario = {
  name: "check_beside",
  about: "a check, a migration and a recover by another QMP socket of the same QEMU leave a " +
    "migration with --verify alone, and say which process runs",
  timeoutMs: 240_000,
  async run(context) {
    const [second, there] = [`${context.dir}/second.sock`, `${context.dir}/there.sock`];
    const disks = [{ from: "raw", to: "raw" }, { from: "qcow2", to: "raw" }] as const;
    const pair = await Pair.start(context, {
      ...{ bytes: 32 * MiB, guest: FEW_BLOCKS, disks, gated: true },
      sourceExtra: ["-qmp", `unix:${second},server=on,wait=off`],
      destinationExtra: ["-qmp", `unix:${there},server=on,wait=off`],
    });
    const gate = context.use(new QmpGate(`${context.dir}/second.gate.sock`, second));
    const gateThere = context.use(new QmpGate(`${context.dir}/there.gate.sock`, there));
    const run = (qmp: QmpGate, command: string, ...args: string[]) =>
      context.vmferry({
        name: `${command} ${args[0] ?? ""}`,
        args: [
          ...[command, "--json", "--run-dir", `${context.dir}/run-beside`, "--qmp", qmp.path],
          ...args,
        ],
      });
    const beside = (command: string, ...args: string[]) =>
      run(gate, command, "--secret-file", pair.secretFile, ...args);
    const receive = pair.receive();
    const address = await receive.address();
    const mirroring = pair.gates.source.hold("blockdev-mirror");
    const migrate = pair.migrate(address, VERIFY);
    await mirroring.arrived;
    const other = pair.gates.source.hold("blockdev-mirror");
    const exporting = pair.gates.source.hold("block-export-add");
    const again = pair.gates.source.hold("block-export-add");
    mirroring.release();
    await other.arrived;

    context.note("while the disks are copied");
    const copying = beside("check", "--verify", address);
    await assertExit(copying, 3);
    other.release();
    await exporting.arrived;
    exporting.release();
    await again.arrived;

    context.note("while the disks are compared, with an export in QEMU");
    const check = beside("check", "--verify", address);
    await assertExit(check, 3);
    const { problems } = await check.waitEvent("check") as unknown as {
      problems: { message: string }[];
    };
    if (!problems.some(({ message }) => /vmferry migrate \(process \d+\)/.test(message))) {
      throw new Error(`Got ${JSON.stringify(problems)}, expected the migration's process`);
    }
    await assertRefused(beside("migrate", "--verify", address), /vmferry migrate \(process \d+\)/);
    await assertExit(beside("recover", "--yes"), 0);
    await assertRefused(
      run(
        gateThere,
        "receive",
        "--ticket-file",
        `${context.dir}/t`,
        "--listen",
        "tcp://127.0.0.1:0",
      ),
      /exports its disks to another migration/,
    );
    await assertExit(run(gateThere, "check"), 3);
    const harmful = [...gate.commands, ...gateThere.commands].filter((command) =>
      HARMFUL.test(command)
    );
    if (harmful.length > 0) throw new Error(`QEMU was given ${harmful}`);
    again.release();
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const unproved = verifiedBy(migrate).map((disk) => disk.unproved).join();
    if (unproved !== "0,0") throw new Error(`Got ${unproved} unproved blocks, expected 0,0`);
    await pair.assertArrived();
  },
};
