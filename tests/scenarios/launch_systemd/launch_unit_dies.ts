import {
  frontQemu,
  LabGuest,
  LaunchLab,
  LaunchTrial,
  migrate,
  restoreQemu,
  UNIT,
} from "../launch/lab/mod.ts";
import { assertFails, type Scenario } from "../support/scenario.ts";

/** What the destination's QEMU does instead of waiting for the guest. */
const DIES = `
[[ " $* " != *" -incoming "* ]] || { printf '%s\\n' first 'second "line"' last >&2; exit 3; }
qemu "$@"
`;

/** A QEMU that the destination's systemd starts, and that ends at once. */
export const scenario: Scenario = {
  name: "launch_unit_dies",
  about: "a unit whose QEMU dies at once is reported with its last words, and leaves no trace",
  timeoutMs: 300_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.boot(context);
    const { source } = lab;
    const guest = await LabGuest.start(lab, { start: (argv) => source.startService(UNIT, argv) });
    await frontQemu(lab, DIES);
    const trial = await LaunchTrial.begin(lab, guest);
    for (const flags of [[], ["--persist"]]) {
      const name = ["dies", ...flags].join(" ");
      context.note(name);
      const words = /^qemu-not-started: .*exit code 3.*first \/ second "line" \/ last/;
      await assertFails(migrate(lab, flags, name), 1, words);
      await trial.assertUndone();
    }
    context.note("the next try");
    await restoreQemu(lab);
    await trial.assertNextWorks();
  },
};
