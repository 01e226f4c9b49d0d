import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { settleLaunch } from "../../../src/launch/mod.ts";
import { FakeQemu } from "../../support/fake_qemu.ts";
import { memoryPipe } from "../../support/memory_pipe.ts";
import { copyOf, type Kill, LaunchLab } from "./launch_lab.ts";

const BYTES = new Uint8Array(1000);

/** Runs the launch until it is killed. @returns whether it was. */
async function launchUntil(lab: LaunchLab, kill: Kill | undefined): Promise<boolean> {
  lab.kill = kill;
  const copies = [await copyOf(`${lab.dir}/fw/code.fd`, BYTES)];
  try {
    await lab.prepare(lab.params({ copies }));
    await lab.send("file-0", BYTES);
    await lab.launch();
    return false;
  } catch {
    return lab.isDead;
  }
}

Deno.test("the next run undoes a launch that was killed at any record", async () => {
  let count = 0;
  for (const half of ["before", "after"] as const) {
    for (let at = 0;; at++) {
      await using lab = await LaunchLab.make();
      const before = await lab.files();
      if (!await launchUntil(lab, { at, half })) break;
      count++;
      const what = `killed ${half} record ${at}, ${lab.records.at(-1)?.state}`;
      // Killed before its first record, it has changed nothing.
      if (lab.records.length > 0) {
        const { forget, left } = await settleLaunch(lab.host, lab.record, "unknown");
        assertEquals([forget, left], [true, []], what);
      }
      assertEquals([await lab.pid(), await lab.files()], [undefined, before], what);
    }
  }
  assert(count > 20, `${count} kills`);
});

Deno.test("a killed launch whose guest may be here keeps its QEMU and its files", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  const before = await lab.files();
  const record = { ...lab.record, mayHaveGuest: true };
  const { forget, message } = await settleLaunch(lab.host, record, "unknown");
  assertEquals(forget, false);
  assertStringIncludes(message, "its files stay");
  assert(await lab.pid());
  assertEquals(await lab.files(), before);
  const { left } = await settleLaunch(lab.host, record, "elsewhere");
  assertEquals([left, await lab.pid()], [[], undefined]);
});

Deno.test("a killed launch whose guest runs here is forgotten, one whose guest is paused is not", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  const before = await lab.files();
  const record = { ...lab.record, mayHaveGuest: true };
  for (const status of ["paused", "running"] as const) {
    const [ours, theirs] = memoryPipe();
    const running = status === "running";
    const _qemu = new FakeQemu(theirs, { "query-status": () => ({ return: { status, running } }) });
    const host = { ...lab.host, connectUnix: () => Promise.resolve(ours) };
    const { forget, left } = await settleLaunch(host, record, "unknown");
    assertEquals([forget, left], [running, []]);
    assert(await lab.pid());
    const pidFile = (line: string) => running && line.startsWith("log/vm_1.pid ");
    assertEquals(await lab.files(), before.filter((line) => !pidFile(line)));
  }
});

Deno.test("a QEMU whose QMP another client has is not ended", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  using _client = await lab.greeted();
  const { forget, left } = await settleLaunch(lab.host, lab.record, "unknown");
  assertEquals([forget, left.length], [false, 1]);
  assertStringIncludes(left[0]!, "does not say whether it has the guest");
  assert(await lab.pid());
});

Deno.test("a QEMU without its QMP socket is ended only while it starts", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  await Deno.remove(lab.record.qmp);
  const started = await settleLaunch(lab.host, lab.record, "unknown");
  assertEquals([started.forget, started.left.length], [false, 1]);
  assert(await lab.pid());
  const record = { ...lab.record, state: "starting" as const };
  const starting = await settleLaunch(lab.host, record, "unknown");
  assertEquals([starting.forget, starting.left, await lab.pid()], [true, [], undefined]);
});

Deno.test("a QEMU that has a guest is not ended, running or paused", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  for (const status of ["running", "paused"] as const) {
    const [ours, theirs] = memoryPipe();
    const running = status === "running";
    const _qemu = new FakeQemu(theirs, { "query-status": () => ({ return: { status, running } }) });
    const host = { ...lab.host, connectUnix: () => Promise.resolve(ours) };
    const { forget, left } = await settleLaunch(host, lab.record, "unknown");
    assertEquals([forget, left.length], [false, 1]);
    assertStringIncludes(left[0]!, `has a guest (${status})`);
    assert(await lab.pid());
  }
});

Deno.test("an image that another program has put in the place of a launch's stays", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  const path = `${lab.dir}/images/vd 0.qcow2`;
  await Deno.remove(path);
  await Deno.writeTextFile(path, "theirs");
  assertEquals([await lab.destination.undo(), lab.destination.mustStay], [[], false]);
  const what = `${path} (another program has made this file)`;
  assertEquals(lab.warnings, [`Not removed at the destination: ${what}. It stays as it is`]);
  assertEquals(await Deno.readTextFile(path), "theirs");
});

Deno.test("a process with the number of a launch's QEMU is not ended", async () => {
  await using lab = await LaunchLab.make();
  await launchUntil(lab, undefined);
  const pidFile = `${lab.dir}/log/vm_1.pid`;
  const pid = await lab.pid();
  const text = await Deno.readTextFile(pidFile);
  const [, start] = text.split(" ");
  await Deno.writeTextFile(pidFile, text.replace(start!, "1"));
  await lab.destination.undo();
  assertEquals(await lab.pid(), pid);
});

Deno.test("a file that took the name of a copy is reported once, and the launch forgotten", async () => {
  await using lab = await LaunchLab.make();
  const path = `${lab.dir}/fw/code.fd`;
  await lab.prepare(lab.params({ copies: [await copyOf(path, BYTES)] }));
  await lab.send("file-0", BYTES);
  // Made while ours is there, it has another inode.
  await Deno.writeTextFile(`${lab.dir}/theirs`, "theirs");
  await Deno.rename(`${lab.dir}/theirs`, path);
  const { forget, left } = await settleLaunch(lab.host, lab.record, "unknown");
  assertEquals([forget, left], [true, [`${path} (another program has made this file)`]]);
  assertEquals(await Deno.readTextFile(path), "theirs");
});
