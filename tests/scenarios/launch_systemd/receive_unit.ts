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
  type SystemdHost,
  ticketOf,
  UNIT_TICKET,
} from "../launch/lab/mod.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

const FORWARD = "vmferry-forward@vm1-watch.service";
/** The destination's unit of the guest that comes. */
const INCOMING = "incoming.service";
const [FAR, NEAR] = ["/run/vm1.watch", "/run/vm1-far.watch"];

/** The installed units, under the systemd of two hosts. */
export const scenario: Scenario = {
  name: "receive_unit",
  about: "the installed units receive a guest and forward a socket from within their sandbox",
  timeoutMs: 200_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source, destination } = lab;
    const guest = await LabGuest.start(lab);
    for (const host of [source, destination]) await installUnits(host);
    await prepare(destination, guest);

    context.note("a stopped unit is no failure, and starts again");
    await configureUnit(destination, "vm1", [
      ...["--qmp", QMP, "--listen", `vmferry://${destination.address}:7450`],
      ...["--ticket-file", UNIT_TICKET],
      ...["--start", `'systemctl start ${INCOMING}'`, "--stop", `'systemctl stop ${INCOMING}'`],
    ]);
    await destination.must("systemctl", "start", RECEIVE_UNIT);
    await ticketOf(destination);
    await assertUnit(destination, RECEIVE_UNIT, "active disabled");
    await destination.must("systemctl", "stop", RECEIVE_UNIT);
    await assertUnit(destination, RECEIVE_UNIT, "inactive disabled");
    await destination.must("rm", "-f", UNIT_TICKET);

    context.note("a guest comes");
    await destination.must("systemctl", "start", RECEIVE_UNIT);
    await Deno.writeTextFile(source.file(UNIT_TICKET), await ticketOf(destination), {
      mode: 0o600,
    });
    const ferry = source.vmferry({
      name: "migrate",
      args: ["migrate", "--json", "--qmp", QMP, "--ticket-file", UNIT_TICKET],
    });
    await assertExit(ferry, 0, 100_000);
    await assertEnded(destination, RECEIVE_UNIT);
    await assertUnit(destination, RECEIVE_UNIT, "inactive disabled");
    await assertUnit(destination, INCOMING, "active static");
    await guest.assertRunsOnlyOn(destination);

    context.note("a socket of the destination at the source");
    await configureUnit(source, "vm1-watch", [
      ...["--from", `watch=unix://${NEAR}`, "--remote-command", "/usr/local/bin/vmferry"],
      ...["ssh://root@host2", "--", "--to", `watch=unix://${FAR}`],
    ]);
    // The lab's keys are in /tmp, of which a unit has one of its own.
    const keys = `${lab.shared}/${destination.name}`;
    const move = `cp "$1/key" "$1/known_hosts" . && sed -i "s|$1/|$PWD/|" config`;
    await source.must("env", "-C", "/root/.ssh", "sh", "-c", move, "sh", keys);
    await source.must("systemctl", "start", FORWARD);
    const isThere = async () => (await source.run(["test", "-S", NEAR])).code === 0 || undefined;
    await poll("the socket at the source", isThere, 60_000).catch(async (error) => {
      throw new Error(`${error.message}: ${await lastWords(source, FORWARD)}`);
    });
    const greeting = await source.must("timeout", "5", "socat", "-T", "2", `UNIX:${NEAR}`, "-");
    if (!greeting.includes('"QMP"')) throw new Error(`through the tunnel came "${greeting}"`);
    await source.must("systemctl", "stop", FORWARD);
    await assertUnit(source, FORWARD, "inactive disabled");
    await guest.assertArrived();
  },
};

/** Empty images, and a unit that starts QEMU as a destination. */
async function prepare(host: SystemdHost, guest: LabGuest): Promise<void> {
  await host.must("mkdir", "-p", "/var/lib/vm");
  for (const { path, format } of guest.disks) {
    await host.must("qemu-img", "create", "-q", "-f", format, path, "64M");
  }
  const script = [
    "#!/bin/sh",
    `exec ${[...guest.argv, "-incoming", "defer"].map(quoted).join(" ")}`,
  ];
  await Deno.writeTextFile(host.file("/usr/local/bin/incoming"), script.join("\n") + "\n");
  await host.must("chmod", "755", "/usr/local/bin/incoming");
  const unit = ["[Service]", "Type=exec", "ExecStart=/usr/local/bin/incoming", ""];
  await Deno.writeTextFile(host.file(`/etc/systemd/system/${INCOMING}`), unit.join("\n"));
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
