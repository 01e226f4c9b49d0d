import { assertExit, type Scenario } from "../support/scenario.ts";
import { LaunchLab } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, copyFails, DIR, makeImages } from "./lab/mod.ts";

/** What is undone, and what a later copy continues with. */
export const scenario: Scenario = {
  name: "copy_fails",
  about: "a full destination and Ctrl-C undo a copy; a changed image is not continued",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const images = await makeImages(lab, 96);
    const raw = images[1]!;

    context.note("no room");
    await destination.must("mount", "-t", "tmpfs", "-o", "size=48m", "none", DIR);
    await assertExit(copy(lab, [raw]), 3);
    context.note("the disk is full before the end");
    await destination.must("mount", "-o", "remount,size=120m", "none", DIR);
    const full = copy(lab, [raw], ["--bandwidth", "30M"]);
    await full.waitEvent("phase", (e) => e.phase === "copy");
    await destination.must("sh", "-c", `head -c 60000000 /dev/zero >${DIR}/other`);
    await copyFails(full, 1, /^destination disk-full: /);
    for (const host of [source, destination]) await assertNothingLeft(host);
    await destination.must("umount", DIR);

    context.note("Ctrl-C");
    const cancelled = copy(lab, [raw], ["--bandwidth", "8M"]);
    await cancelled.waitEvent("phase", (e) => e.phase === "copy");
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    cancelled.signal("SIGINT");
    await copyFails(cancelled, 5, /^source cancelled: Cancelled by SIGINT/);
    const partial = ".b.raw.vmferry-copy";
    await assertNothingLeft(source);
    await assertNothingLeft(destination, [partial, `${partial}.json`]);

    context.note("the image has changed since");
    await source.must("qemu-io", "-f", "raw", "-c", "write -q -P 7 300M 64k", raw);
    const anew = copy(lab, [raw], ["--resume"]);
    await assertExit(anew, 0);
    await anew.waitEvent("warning", (e) => /the source's image has changed/.test(`${e.message}`));
    await assertArrived(lab, [["b.raw", "raw"]]);
    for (const host of [source, destination]) await assertNothingLeft(host);
  },
};
