import { assertExit, type Scenario } from "../support/scenario.ts";
import { LabGuest, LaunchLab, migrate } from "./lab/mod.ts";

const DIRECTORY = "/var/lib/vm/it's a,b $(touch x);";
const CONFIG = "/var/lib/vm/vm 1.cfg";
const NOTE = '@note, "1".bin';

/** Paths that a shell, QEMU's options or `@file` would read in another way. */
export const scenario: Scenario = {
  name: "launch_paths",
  about: "spaces, commas, quotes and a leading @ in paths, relative paths and -readconfig arrive",
  timeoutMs: 120_000,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    await source.must("mkdir", "-p", DIRECTORY);
    const disks = [
      { format: "qcow2" as const, path: `${DIRECTORY}/@disk 0,1.qcow2` },
      { format: "raw" as const, path: `${DIRECTORY}/@disk=1.raw` },
    ];
    await Deno.writeTextFile(
      source.file(CONFIG),
      [
        ...['[drive "vd1"]', '  if = "none"', '  format = "raw"', `  file = "${disks[1]!.path}"`],
        ...['[device "vd1"]', '  driver = "virtio-blk-pci"', '  drive = "vd1"', ""],
      ].join("\n"),
    );
    await Deno.writeTextFile(source.file(`${DIRECTORY}/${NOTE}`), "a note");
    const guest = await LabGuest.start(lab, {
      disks,
      directory: DIRECTORY,
      diskArguments: ({ id, format }) =>
        id === "vd1" ? [] : [
          ...["-drive", `if=none,id=${id},format=${format},file=@disk 0,,1.qcow2`],
          ...["-device", `virtio-blk-pci,id=${id},drive=${id}`],
        ],
      extra: [
        ...["-readconfig", CONFIG],
        ...["-fw_cfg", `name=opt/note,file=${NOTE.replaceAll(",", ",,")}`],
      ],
    });
    await assertExit(migrate(lab), 0);
    const note = await Deno.readTextFile(destination.file(`${DIRECTORY}/${NOTE}`));
    if (note !== "a note") throw new Error(`The note is "${note}"`);
    const names = (await destination.must("ls", "-1", DIRECTORY)).split("\n");
    if (names.length !== 3) throw new Error(`The destination has ${names.join("; ")}`);
    await guest.assertArrived();
  },
};
