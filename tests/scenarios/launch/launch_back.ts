import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate, QMP } from "./lab/mod.ts";

/** A round trip, to the images that the guest has left. */
export const scenario: Scenario = {
  name: "launch_back",
  about: "a launched guest goes back with --reuse to the images that it has left",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const guest = await LabGuest.start(lab);
    await assertExit(migrate(lab, ["--quit-source"]), 0);
    await guest.assertRunsOnlyOn(destination);
    const counter = await guest.counter(destination);

    context.note("back");
    await lab.allowWayBack();
    const reuse = guest.disks.flatMap(({ id }) => ["--reuse", id]);
    const ferry = destination.vmferry({
      name: "back",
      args: ["migrate", "--json", "--qmp", QMP, "--launch", ...reuse, "ssh://root@host1"],
    });
    await assertExit(ferry, 0);
    await guest.assertRunsOnlyOn(source);
    const now = await guest.counter(source);
    if (now < counter) throw new Error(`The guest counts ${now}, after ${counter} before`);
    await guest.assertArrived(source);

    const old = await destination.run(["sh", "-c", "/var/lib/vmferry/*/start.sh"]);
    if (old.code !== 1 || !/^This guest was moved to ssh:\/\/root@host1 on /.test(old.stderr)) {
      throw new Error(`start.sh of the old copy ended with ${old.code}: ${old.stderr}`);
    }
  },
};
