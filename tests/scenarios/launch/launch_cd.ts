import { assertExit, assertFails, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, LaunchTrial, migrate } from "./lab/mod.ts";

const CD = "/var/lib/vm/iso/tools.iso";

/** A medium that QEMU only reads. */
export const scenario: Scenario = {
  name: "launch_cd",
  about: "a CD is copied where it is missing, used where it is the same, refused where it differs",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    await source.must("mkdir", "-p", "/var/lib/vm/iso");
    const iso = crypto.getRandomValues(new Uint8Array(65536));
    await Deno.writeFile(source.file(CD), iso);
    const guest = await LabGuest.start(lab, {
      disks: [{ format: "qcow2" }],
      extra: ["-drive", `if=none,id=cd,media=cdrom,readonly=on,format=raw,file=${CD}`].concat(
        ["-device", "ide-cd,drive=cd,id=cd0"],
      ),
    });
    await destination.must("mkdir", "-p", "/var/lib/vm/iso");

    context.note("a different one");
    await Deno.writeFile(destination.file(CD), iso.toReversed());
    const trial = await LaunchTrial.begin(lab, guest);
    await assertFails(migrate(lab, [], "different"), 3, new RegExp(`${CD} has other content`));
    await trial.assertUndone();

    context.note("the same");
    await Deno.writeFile(destination.file(CD), iso);
    const dry = migrate(lab, ["--dry-run"], "same");
    await assertExit(dry, 0);
    const plan = JSON.stringify(await dry.waitEvent("plan"));
    if (plan.includes("scp")) throw new Error(`The plan copies: ${plan}`);

    context.note("a missing one");
    await destination.must("rm", "-r", "/var/lib/vm");
    await trial.assertNextWorks();
    const [here, there] = await Promise.all(
      [source, destination].map((host) => host.must("sha256sum", CD)),
    );
    if (here !== there) throw new Error(`source: ${here}, destination: ${there}`);
  },
};
