import {
  differenceOutsideRing,
  type Image,
  makeEmptyImage,
  makeImage,
  type Ring,
  verifyRing,
} from "../guest/mod.ts";
import { sh } from "../../support/sh.ts";
import {
  assertExit,
  assertNone,
  assertRefused,
  type Scenario,
  type ScenarioContext,
} from "../support/scenario.ts";
import { type EndDisk, TwoEnds } from "../pair/two_ends.ts";
import { poll } from "../support/waiting.ts";

const RING: Ring = { start: 2048, length: 4096, runId: 0x5eed_0003_0000_0001n };
const BYTES = 16 << 20;

const file = (filename: string, more: object = {}) => ({ driver: "file", filename, ...more });
const raw = (id: string, below: object): EndDisk => ({ id, node: { driver: "raw", file: below } });
const nbd = (path: string) => ({ driver: "nbd", server: { type: "unix", path }, export: "" });
const OFF = { locking: "off" } as const;

/** Storage that both ends have: under one name, under two, as a part of a chain, or as a copy. */
export const scenario: Scenario = {
  name: "same_storage",
  about: "a disk that both ends have is refused before a byte is written, and stays with --shared",
  timeoutMs: 360_000,
  long: true,
  async run(context) {
    await oneExport(context);
    await backingFile(context);
    await twoNames(context);
    await byContent(context);
    await oldCopy(context);
    await lockedQcow2(context);
  },
};

/** Both QEMUs are clients of one NBD export. Afterwards the guest crosses without it. */
async function oneExport(context: ScenarioContext): Promise<void> {
  context.note("both ends on one NBD export");
  const { dir, image, before } = await prepare(context, "nbd");
  const server = await serveNbd(context, `${dir}/nbd.sock`, [
    ...["-f", "raw", "--shared=8", image.path],
  ]);
  const disks = [raw("vd0", nbd(server))];
  const ends = await TwoEnds.start(context, dir, { source: disks, destination: disks });
  const receive = ends.receive();
  await receive.address();
  const reason = /disk vd0 .*nbd\+unix.* is storage of the source's disk vd0/;
  await assertRefused(ends.check(), reason);
  await assertRefused(ends.migrate(), reason);
  await assertRefused(ends.migrate(["--reuse", "vd0"]), reason);
  await assertRefused(ends.migrate(["--shared", "nope"]), /--shared nope: there is no such disk/);
  await ends.assertUntouched();
  const refused = await differenceOutsideRing(before, image, RING);
  if (refused) throw new Error(`After the refusals: ${refused}`);
  await assertExit(ends.check(["--shared", "vd0"]), 0);
  await assertExit(ends.migrate(["--shared", "vd0"]), 0);
  await assertExit(receive, 0);
  await assertWhole(image, before, await ends.assertArrived());
}

/** The destination's disk is what the source's overlay stands on. */
async function backingFile(context: ScenarioContext): Promise<void> {
  context.note("the destination's disk is the base of the source's");
  const { dir, image, before } = await prepare(context, "base");
  const overlay = `${dir}/overlay.qcow2`;
  await sh("qemu-img", ...["create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.path, overlay]);
  const ends = await TwoEnds.start(context, dir, {
    source: [{ id: "vd0", node: { driver: "qcow2", file: file(overlay) } }],
    destination: [raw("vd0", file(image.path))],
  });
  const receive = ends.receive();
  await receive.address();
  const reason = /disk vd0 .*source\.raw.* is storage of the source's disk vd0/;
  await assertRefused(ends.check(), reason);
  await assertRefused(ends.migrate(), reason);
  await ends.assertUntouched();
  receive.signal("SIGINT");
  await assertExit(receive, 5);
  await ends.quit();
  if (!await sameBytes(before.path, image.path)) throw new Error("The base was written to");
}

/** One raw file under two names, one of them relative, without locks, beside a disk that does cross. */
async function twoNames(context: ScenarioContext): Promise<void> {
  context.note("one file under two names");
  const { dir, image, before } = await prepare(context, "names");
  const other = `${dir}/other-name.raw`;
  await Deno.link(image.path, other);
  const second = await secondDisk(dir);
  const ends = await TwoEnds.start(context, dir, {
    source: [raw("vd0", file(image.path, OFF)), raw("vd1", file(second.from.path))],
    destination: [raw("vd0", file(relative(other), OFF)), raw("vd1", file(second.to.path))],
  });
  const receive = ends.receive();
  await receive.address();
  await assertRefused(ends.migrate(), /disk vd0 .*other-name\.raw.* is storage of .*source\.raw/);
  await ends.assertUntouched();
  await assertExit(ends.migrate(["--shared", "vd0"]), 0);
  await assertExit(receive, 0);
  await assertWhole(image, before, await ends.assertArrived());
  if (!await sameBytes(second.from.path, second.to.path)) throw new Error("vd1 differs");
}

/** The path as seen from the directory that QEMU is started in. */
function relative(path: string): string {
  return Deno.cwd().replaceAll(/[^/]+\/?/g, "../").slice(1) + path.slice(1);
}

/** Two servers over one file: nothing but the content tells. */
async function byContent(context: ScenarioContext): Promise<void> {
  context.note("two NBD servers over one file");
  const { dir, image, before } = await prepare(context, "content");
  const options = (more: string) => [
    ...[
      "--image-opts",
      "--shared=8",
      `driver=raw,file.driver=file,file.filename=${image.path}${more}`,
    ],
  ];
  const one = await serveNbd(context, `${dir}/one.sock`, options(",file.locking=off"));
  const two = await serveNbd(context, `${dir}/two.sock`, options(",file.locking=off"));
  const ends = await TwoEnds.start(context, dir, {
    source: [raw("vd0", nbd(one))],
    destination: [raw("vd0", nbd(two))],
  });
  const receive = ends.receive();
  await receive.address();
  const reason = /disk vd0 has the data of the source's disk vd0: \d+ of \d+ .*--shared vd0/;
  await assertRefused(ends.check(), reason);
  await assertRefused(ends.migrate(), reason);
  await ends.assertUntouched();
  const refused = await differenceOutsideRing(before, image, RING);
  if (refused) throw new Error(`After the refusals: ${refused}`);
  await assertExit(ends.migrate(["--shared", "vd0"]), 0);
  await assertExit(receive, 0);
  await assertWhole(image, before, await ends.assertArrived());
}

/** The destination has a copy of its own: it is overwritten when the user says so. */
async function oldCopy(context: ScenarioContext): Promise<void> {
  context.note("an old copy");
  const { dir, image, before } = await prepare(context, "copy");
  const copy: Image = { path: `${dir}/copy.qcow2`, format: "qcow2" };
  await sh("qemu-img", "convert", "-f", "raw", "-O", "qcow2", image.path, copy.path);
  const ends = await TwoEnds.start(context, dir, {
    source: [raw("vd0", file(image.path))],
    destination: [{ id: "vd0", node: { driver: "qcow2", file: file(copy.path) } }],
  });
  const receive = ends.receive();
  await receive.address();
  await assertRefused(ends.migrate(), /has the data of the source's disk vd0.*--reuse vd0/);
  await ends.assertUntouched();
  await assertExit(ends.check(["--reuse", "vd0"]), 0);
  await assertExit(ends.migrate(["--reuse", "vd0"]), 0);
  await assertExit(receive, 0);
  await assertWhole(copy, before, await ends.assertArrived());
}

/** A qcow2 file with QEMU's locks: its caches and locks change hands at the switchover. */
async function lockedQcow2(context: ScenarioContext): Promise<void> {
  context.note("a shared qcow2 with locks");
  const { dir, image: plain, before } = await prepare(context, "qcow2");
  const image: Image = { path: `${dir}/shared.qcow2`, format: "qcow2" };
  await sh("qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain.path, image.path);
  const disks = [{ id: "vd0", node: { driver: "qcow2", file: file(image.path) } }];
  const ends = await TwoEnds.start(context, dir, { source: disks, destination: disks });
  const receive = ends.receive();
  await receive.address();
  await assertRefused(ends.migrate(), /is storage of the source's disk vd0/);
  await ends.assertUntouched();
  await assertExit(ends.migrate(["--shared", "vd0"]), 0);
  await assertExit(receive, 0);
  await assertWhole(image, before, await ends.assertArrived());
}

async function prepare(context: ScenarioContext, name: string) {
  const dir = `${context.dir}/${name}`;
  await Deno.mkdir(dir);
  const image: Image = { path: `${dir}/source.raw`, format: "raw" };
  const before: Image = { path: `${dir}/before.raw`, format: "raw" };
  await makeImage(image, { bytes: BYTES, seed: 1, guest: { ring: RING, waitUs: 1000 } });
  await Deno.copyFile(image.path, before.path);
  return { dir, image, before };
}

async function secondDisk(dir: string): Promise<{ from: Image; to: Image }> {
  const from: Image = { path: `${dir}/second.raw`, format: "raw" };
  const to: Image = { path: `${dir}/second-copy.raw`, format: "raw" };
  await makeImage(from, { bytes: BYTES, seed: 2 });
  await makeEmptyImage(to, BYTES);
  return { from, to };
}

/** Every write of the guest is in the image, and the rest is as it was. */
async function assertWhole(image: Image, before: Image, last: number): Promise<void> {
  const { faults, highest } = await verifyRing(image, RING, 0);
  assertNone(faults);
  if (highest < last - 2) throw new Error(`The disk ends at ${highest}, expected ${last - 2}`);
  const difference = await differenceOutsideRing(before, image, RING);
  if (difference) throw new Error(difference);
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  const { success } = await new Deno.Command("cmp", { args: ["-s", a, b] }).output();
  return success;
}

async function serveNbd(
  context: ScenarioContext,
  socket: string,
  args: readonly string[],
): Promise<string> {
  const child = new Deno.Command("qemu-nbd", {
    args: ["--persistent", "-k", socket, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  context.use({
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  });
  await poll("qemu-nbd to listen", async () => {
    const conn = await Deno.connect({ transport: "unix", path: socket }).catch(() => undefined);
    conn?.close();
    return conn ? true : undefined;
  });
  return socket;
}
