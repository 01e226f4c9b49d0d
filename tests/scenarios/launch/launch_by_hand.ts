import { vmferryPath } from "../support/vmferry.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LabGuest, LaunchLab, migrate, QMP } from "./lab/mod.ts";

/** The plan, carried out by its reader. */
export const scenario: Scenario = {
  name: "launch_by_hand",
  about: "the commands of --dry-run build the destination, and a plain migration arrives there",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const directory = '/var/lib/vm/it\'s $HOME, "x" & co';
    await source.must("mkdir", "-p", `${directory}/iso`);
    await Deno.writeTextFile(source.file(`${directory}/iso/a.iso`), "x".repeat(4096));
    const guest = await LabGuest.start(lab, {
      disks: [
        { format: "qcow2", path: `${directory}/a.qcow2`, options: "cluster_size=131072" },
        { format: "raw", path: `${directory}/b.raw` },
      ],
      extra: [
        ...["-drive", `if=none,id=cd,media=cdrom,readonly=on,format=raw`],
        ...["-device", "ide-cd,drive=cd,id=cd0"],
      ].map((word) =>
        word.startsWith("if=") ? `${word},file=${directory.replaceAll(",", ",,")}/iso/a.iso` : word
      ),
    });
    const dry = migrate(lab, ["--dry-run", "--map", "/var/lib/vm=/var/lib/other vm"], "dry run");
    await assertExit(dry, 0);
    const { commands } = await dry.waitEvent("plan") as unknown as {
      commands: { side: string; command: string }[];
    };
    await lab.allowWayBack();
    for (const { side, command } of commands) {
      context.note(`${side}: ${command}`);
      if (command.includes("-incoming")) destination.start(["sh", "-c", command]);
      else await (side === "source" ? source : destination).must("sh", "-c", command);
    }
    await poll("QEMU", () => guest.status(destination).catch(() => undefined), 15_000);

    const ferry = source.vmferry({
      name: "migrate",
      args: [
        ...["migrate", "--json", "--qmp", QMP, "--remote-qmp", QMP],
        ...["--remote-command", vmferryPath(), "ssh://root@host2"],
      ],
    });
    await assertExit(ferry, 0);
    const there = (path: string) => path.replace("/var/lib/vm", "/var/lib/other vm");
    await guest.assertArrived(destination, there);
  },
};
