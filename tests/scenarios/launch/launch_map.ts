import { assertExit, assertNone, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const FAST = "/var/lib/fast/vd0.qcow2";
const RAW = "/var/lib/guests/a b/vm1-1.raw";
const LOG = "/var/log/vm1.serial";

/** Paths that are others at the destination. */
export const scenario: Scenario = {
  name: "launch_map",
  about: "--map and --disk NAME=PATH place the files of a guest, and its own paths stay free",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { destination } = lab;
    const log = "/var/lib/vm/vm1.log";
    const guest = await LabGuest.start(lab, { extra: ["-serial", `file:${log}`] });
    const ferry = migrate(lab, [
      ...["--map", "/var/lib/vm=/var/lib/guests/a b", "--map", `${log}=${LOG}`],
      ...["--disk", `vd0=${FAST}`, "--disk", "vd1"],
    ]);
    await assertExit(ferry, 0);
    const found = await destination.must("find", "/var/lib", "/var/log", "-name", "*v[dm][01]*");
    const expected = [
      FAST,
      RAW,
      LOG,
      "/var/lib/vmferry/vm1",
      "/var/log/vmferry/vm1.log",
    ];
    const faults = [
      ...expected.filter((path) => !found.includes(path)).map((path) => `missing: ${path}`),
      ...found.split("\n").filter((path) => !expected.includes(path)).map((path) =>
        `made: ${path}`
      ),
    ];
    assertNone(faults);
    const there = (path: string) => path.endsWith("-0.qcow2") ? FAST : RAW;
    await guest.assertArrived(destination, there);
  },
};
