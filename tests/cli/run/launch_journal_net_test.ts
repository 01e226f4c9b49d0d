import { assert, assertEquals } from "@std/assert";
import {
  adoptLaunches,
  openLaunchJournal,
  rivalLaunches,
  settleLaunches,
} from "../../../src/cli/run/launch_journal.ts";
import { PrivateRunDir } from "../../../src/cli/run/run_dir.ts";
import { silentLogger } from "../../../src/io/mod.ts";
import { LaunchLab } from "../../launch/destination/launch_lab.ts";

/** A launch with its QEMU, whose process was killed; its journal lies under the base. */
async function cutOff(lab: LaunchLab, base: string): Promise<void> {
  await lab.prepare();
  await lab.launch();
  await using dir = await PrivateRunDir.make(base, "destination");
  using journal = await openLaunchJournal(dir.directory);
  await journal.write(lab.record);
  dir.keep();
}

Deno.test("the next run undoes a launch that was cut off, and forgets it", async () => {
  const base = await Deno.makeTempDir();
  try {
    await using lab = await LaunchLab.make();
    const before = await lab.files();
    await cutOff(lab, base);
    assertEquals(await settleLaunches(base, lab.host, silentLogger, { qmp: "/other" }), []);
    assert(await lab.pid());
    assertEquals(await settleLaunches(base, lab.host, silentLogger), []);
    assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
    assertEquals([...Deno.readDirSync(base)], []);
  } finally {
    await Deno.remove(base, { recursive: true }).catch(() => {});
  }
});

Deno.test("a run that begins while another one undoes waits until that is done", async () => {
  const base = await Deno.makeTempDir();
  try {
    await using lab = await LaunchLab.make();
    const before = await lab.files();
    await cutOff(lab, base);
    let isDone = false;
    const settle = async () => {
      assertEquals(await settleLaunches(base, lab.host, silentLogger), []);
      if (!isDone) assertEquals([await lab.pid(), await lab.files()], [undefined, before]);
      isDone = true;
    };
    await Promise.all([settle(), settle()]);
  } finally {
    await Deno.remove(base, { recursive: true }).catch(() => {});
  }
});

Deno.test("a launch whose QEMU another process has taken is not undone", async () => {
  const base = await Deno.makeTempDir();
  try {
    await using lab = await LaunchLab.make();
    await cutOff(lab, base);
    await adoptLaunches(base, lab.qemu!.qmp, silentLogger);
    assertEquals(await settleLaunches(base, lab.host, silentLogger), []);
    assert(await lab.pid());
    assertEquals([...Deno.readDirSync(base)].length, 1);
  } finally {
    await Deno.remove(base, { recursive: true }).catch(() => {});
  }
});

Deno.test("a launch whose process runs is left to it", async () => {
  const base = await Deno.makeTempDir();
  try {
    await using lab = await LaunchLab.make();
    await lab.prepare();
    await lab.launch();
    await using dir = await PrivateRunDir.make(base, "destination");
    using journal = await openLaunchJournal(dir.directory);
    await journal.write(lab.record);
    assertEquals(await settleLaunches(base, lab.host, silentLogger), []);
    assert(await lab.pid());
  } finally {
    await Deno.remove(base, { recursive: true }).catch(() => {});
  }
});

Deno.test("a launch of a live process is a rival for its QMP socket until it is over", async () => {
  const base = await Deno.makeTempDir();
  try {
    await using lab = await LaunchLab.make();
    await lab.prepare();
    await using dir = await PrivateRunDir.make(base, "destination");
    using journal = await openLaunchJournal(dir.directory);
    await journal.write(lab.record);
    const { qmp } = lab.record;
    await Deno.symlink(lab.dir, `${base}/link`);
    const ask = (path: string, own = "") =>
      rivalLaunches({ base, own, qmp: path, log: silentLogger });
    const aliased = `${base}/link${qmp.slice(lab.dir.length)}`;
    assertEquals([await ask(qmp), await ask(aliased)], [["m1"], ["m1"]]);
    assertEquals([await ask(`${qmp}2`), await ask(qmp, dir.directory)], [[], []]);
    await journal.write({ ...lab.record, state: "undone" });
    assertEquals(await ask(qmp), []);
  } finally {
    await Deno.remove(base, { recursive: true }).catch(() => {});
  }
});
