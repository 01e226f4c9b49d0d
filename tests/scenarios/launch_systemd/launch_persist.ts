import {
  assertEnded,
  assertQemus,
  assertUnit,
  BOOT,
  DESTINATION,
  LabGuest,
  LaunchLab,
  migrate,
  QMP,
  type SystemdHost,
  TRANSIENT,
  UNIT,
} from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

/** Longest crossing, also on a busy machine, ms. */
const CROSSING_MS = 200_000;

/** Three crossings with `--persist` and without, and a boot after each. */
export const scenario: Scenario = {
  name: "launch_persist",
  about: "with --persist a guest starts at boot on the host that it is on, and on no other one",
  timeoutMs: 800_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const guest = await LabGuest.start(lab, {
      start: (argv) => source.startService(UNIT, argv, ["Restart=always", "RestartSec=50ms"]),
    });
    const reuse = guest.disks.flatMap(({ id }) => ["--reuse", id]);

    context.note("there");
    await assertExit(migrate(lab, ["--persist"]), 0, CROSSING_MS);
    await assertUnit(destination, TRANSIENT, "active transient");
    await assertUnit(destination, BOOT, "inactive enabled");
    await assertUnit(source, UNIT, "active disabled");
    await guest.assertRunsOnlyOn(destination);
    // As the kernel does it where memory is short.
    await source.must("systemctl", "kill", "--signal=KILL", UNIT);
    await assertEnded(source, UNIT);
    await guest.assertArrived(destination);
    await assertEnded(destination, TRANSIENT);

    context.note("both boot");
    await guest.clearRing(destination);
    for (const host of [source, destination]) await host.reboot();
    await waitStarted(guest, destination);
    await assertUnit(destination, BOOT, "active enabled");
    await assertQemus(destination, 1);
    await assertQemus(source, 0);

    context.note("back");
    await lab.allowWayBack();
    const back = destination.vmferry({
      name: "back",
      args: [
        ...["migrate", "--json", "--qmp", QMP, "--launch", "--persist", "--quit-source"],
        ...[...reuse, "ssh://root@host1"],
      ],
    });
    await assertExit(back, 0, CROSSING_MS);
    await assertUnit(source, TRANSIENT, "active transient");
    await assertUnit(source, BOOT, "inactive enabled");
    await assertUnit(source, UNIT, "inactive disabled");
    await assertEnded(destination, BOOT);
    await assertUnit(destination, BOOT, "inactive disabled");
    await guest.assertArrived(source);
    await assertLeft(destination);
    await guest.clearRing(source);
    for (const host of [source, destination]) await host.reboot();
    await waitStarted(guest, source);
    await assertUnit(source, BOOT, "active enabled");
    await assertQemus(source, 1);
    await assertQemus(destination, 0);

    context.note("there again, without --persist");
    const again = source.vmferry({
      name: "again",
      args: [
        ...["migrate", "--json", "--qmp", QMP, "--launch", "--quit-source", ...reuse],
        DESTINATION,
      ],
    });
    await assertExit(again, 0, CROSSING_MS);
    await guest.assertArrived(destination);
    await assertLeft(source);
    await assertUnit(destination, BOOT, "inactive disabled");
    for (const host of [source, destination]) await host.reboot();
    for (const host of [source, destination]) await assertQemus(host, 0);
    // The guest is at home here.
    destination.start(["/var/lib/vmferry/vm1/start.sh"]);
    await waitStarted(guest, destination);
  },
};

async function waitStarted(guest: LabGuest, host: SystemdHost): Promise<void> {
  const status = () => guest.status(host).catch(() => undefined);
  await poll(`${host.name}: QEMU to start`, status, 20_000);
  await guest.waitCounter(host, 200);
}

/** Neither start.sh nor the unit starts the copy that a guest has left. */
async function assertLeft(host: SystemdHost): Promise<void> {
  const script = await host.run(["/var/lib/vmferry/vm1/start.sh"]);
  if (script.code !== 1 || !script.stderr.startsWith("This guest was moved to ")) {
    throw new Error(`${host.name}: start.sh ended with ${script.code}: ${script.stderr}`);
  }
  await host.must("systemctl", "start", BOOT);
  await assertUnit(host, BOOT, "inactive disabled");
  await assertQemus(host, 0);
}
