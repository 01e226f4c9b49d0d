import {
  assertEnded,
  assertUnit,
  configureUnit,
  installUnits,
  LabGuest,
  lastWords,
  LaunchLab,
  QMP,
  RECEIVE_UNIT,
  TICKET_DIR,
  ticketOf,
  TRANSIENT,
  UNIT,
  UNIT_TICKET,
} from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** The installed unit with the drop-in of docs/install.md. */
export const scenario: Scenario = {
  name: "receive_unit_launch",
  about: "the installed unit builds the destination of a launch in the directory of its drop-in",
  timeoutMs: 200_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const guest = await LabGuest.start(lab, {
      start: (argv) => source.startService(UNIT, argv),
      disks: [{ format: "qcow2", path: `${TICKET_DIR}/vm1.qcow2` }],
    });
    await installUnits(destination);
    await configureUnit(destination, "vm1", [
      ...["--launch", "--listen", `vmferry://${destination.address}:7450`],
      ...["--ticket-file", UNIT_TICKET],
    ]);
    await destination.must("mkdir", "-p", TICKET_DIR);
    const dropIn = `/etc/systemd/system/${RECEIVE_UNIT}.d`;
    await destination.must("mkdir", dropIn);
    await Deno.writeTextFile(
      destination.file(`${dropIn}/images.conf`),
      `[Service]\nReadWritePaths=${TICKET_DIR}\n`,
    );
    await destination.must("systemctl", "daemon-reload");
    await destination.must("systemctl", "start", RECEIVE_UNIT);
    await Deno.writeTextFile(source.file(UNIT_TICKET), await ticketOf(destination), {
      mode: 0o600,
    });
    const ferry = source.vmferry({
      name: "migrate",
      args: ["migrate", "--json", "--qmp", QMP, "--launch", "--ticket-file", UNIT_TICKET],
    });
    await assertExit(ferry, 0, 100_000).catch(async (error) => {
      throw new Error(`${error.message}: ${await lastWords(destination, RECEIVE_UNIT)}`);
    });
    await assertEnded(destination, RECEIVE_UNIT);
    await assertUnit(destination, RECEIVE_UNIT, "inactive disabled");
    await assertUnit(destination, TRANSIENT, "active transient");
    await guest.assertArrived();
  },
};
