import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import {
  frontQemu,
  LabGuest,
  LaunchLab,
  LaunchTrial,
  migrate,
  restoreQemu,
} from "../launch/lab/mod.ts";

const MiB = 1 << 20;

/** What the plan finds before anything is created. */
export const scenario: Scenario = {
  name: "launch_refused",
  about: "an image that exists and a full destination are refused, and --reuse overwrites",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination } = lab;
    const guest = await LabGuest.start(lab);
    const [first, second] = guest.images as [string, string];
    const refused = async (args: readonly string[], ...reasons: RegExp[]) => {
      const trial = await LaunchTrial.begin(lab, guest);
      const ferry = migrate(lab, args, `refused ${reasons[0]!.source}`);
      const { message } = await assertFails(ferry, 3, reasons[0]!);
      for (const reason of reasons) {
        if (!reason.test(message)) throw new Error(`Got "${message}", expected ${reason}`);
      }
      await trial.assertUndone();
    };

    context.note("no room");
    await destination.must("mkdir", "/var/lib/vm");
    await destination.must("mount", "-t", "tmpfs", "-o", "size=8m", "none", "/var/lib/vm");
    await refused([], /room|space|free/);
    await destination.must("umount", "/var/lib/vm");

    context.note("images that exist");
    await destination.must("qemu-img", "create", "-q", "-f", "qcow2", first, String(64 * MiB));
    await Deno.writeFile(destination.file(second), new Uint8Array(64 * MiB).fill(7));
    await refused([], new RegExp(`disk vd0: ${first} exists`), new RegExp(`disk vd1: ${second}`));
    await refused(["--reuse", "vd0"], new RegExp(`disk vd1: ${second} exists`));

    context.note("a machine type that is not there");
    const allowed = ["--reuse", "vd0", "--reuse", "vd1"];
    await frontQemu(
      lab,
      `[[ "$*" != *"-machine help"* ]] || { (qemu "$@") | grep -v q35-7.2; exit; }; qemu "$@"`,
    );
    await refused(allowed, /no machine type pc-q35-7\.2/);

    context.note("an older QEMU");
    await frontQemu(lab, '(qemu "$@") | sed "s/version 7[^ ]*/version 6.2.0/"');
    await refused(allowed, /QEMU 6\.2\.0, older than the source's 7\.2/);
    await restoreQemu(lab);

    context.note("--reuse");
    await assertExit(migrate(lab, allowed), 0);
    await guest.assertArrived();
  },
};
