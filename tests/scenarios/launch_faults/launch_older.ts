import { LabGuest, LaunchLab, LaunchTrial, migrate } from "../launch/lab/mod.ts";
import { assertFails, type Scenario } from "../support/scenario.ts";

/** A real QEMU of another version, and a command line that is not its process's. */
export const scenario: Scenario = {
  name: "launch_older",
  about: "a guest of QEMU 10.0 with --qemu-command is refused by a destination that has 7.2",
  timeoutMs: 300_000,
  // Fetches another QEMU.
  long: true,
  async run(context) {
    const newer = await fetchQemu("10.0");
    const lab = await LaunchLab.start(context);
    const guest = await LabGuest.start(lab, {
      disks: [{ format: "qcow2" }],
      argv: ([, ...rest]) => [newer, ...rest],
    });
    const file = `${lab.shared}/command`;
    const words = ["qemu-system-x86_64", ...guest.argv.slice(1)];
    await Deno.writeTextFile(file, `${words.map(quoted).join(" \\\n  ")} # vm1\n`);
    const trial = await LaunchTrial.begin(lab, guest);
    const ferry = migrate(lab, ["--qemu-command", file]);
    await assertFails(ferry, 3, /QEMU 7\.2\.\d+, older than the source's 10\.0/);
    await trial.assertUndone();
  },
};

async function fetchQemu(version: string): Promise<string> {
  const script = new URL("../../../tools/qemu.sh", import.meta.url).pathname;
  const { stdout, stderr, success } = await new Deno.Command(script, { args: [version] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().replace("QEMU_DEST=", "");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
