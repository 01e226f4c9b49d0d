import { assertEquals, assertRejects } from "@std/assert";
import { ArrivingImage } from "../../src/copy/destination/arriving_image.ts";
import { CommandError } from "../../src/host/mod.ts";
import { MigrationError } from "../../src/migrate/mod.ts";
import { lookAtTargets } from "../../src/copy/destination/look.ts";
import { Rig } from "./rig.ts";

const MiB = 1 << 20;
const signal = new AbortController().signal;

Deno.test("a base has the partial name until the image is whole, and then its own", async () => {
  await using rig = new Rig();
  Deno.chmodSync(rig.path, 0o640);
  const image = await rig.begin();
  assertEquals(rig.files, [".a.img.vmferry-copy", ".a.img.vmferry-copy.json"]);
  assertEquals(image.begun, { doneBytes: 0, zeroed: false, hasBase: true });
  await image.connect();
  await image.close();
  await image.finish();
  assertEquals(rig.files, ["a.img"]);
  assertEquals(Deno.readTextFileSync(rig.path).slice(0, 3), "old");
  assertEquals(Deno.statSync(rig.path).mode! & 0o777, 0o640);
});

Deno.test("a base to which nothing was written gets its name back", async () => {
  await using rig = new Rig();
  const image = await rig.begin();
  await image.undo(false);
  assertEquals(rig.files, ["a.img"]);
});

Deno.test("a base that may be changed keeps the partial name, and is the next base", async () => {
  await using rig = new Rig();
  const first = await rig.begin();
  await first.connect();
  await first.note(4096);
  await first.undo(false);
  assertEquals(rig.files, [".a.img.vmferry-copy", ".a.img.vmferry-copy.json"]);
  const second = await rig.begin();
  assertEquals(second.begun, { doneBytes: 0, zeroed: false, hasBase: true });
  // It still is nobody else's to remove.
  await second.undo(false);
  assertEquals(rig.files, [".a.img.vmferry-copy", ".a.img.vmferry-copy.json"]);
});

Deno.test("a copy that continues a base writes zeroes to it, also without --delta", async () => {
  await using rig = new Rig();
  const first = await rig.begin();
  await first.connect();
  await first.note(4096);
  await first.undo(true);
  const second = await rig.begin({ delta: false }, true);
  assertEquals(second.begun, { doneBytes: 4096, zeroed: false, hasBase: true });
  await second.undo(true);
});

Deno.test("a vmferry that knows no bases does not continue with one", async () => {
  await using rig = new Rig();
  await (await rig.begin()).connect();
  assertEquals(JSON.parse(Deno.readTextFileSync(`${rig.partial}.json`)).version, 2);
});

Deno.test("a base of another size is refused and not touched", async () => {
  await using rig = new Rig();
  const images = [{ ...rig.image, sizeBytes: 2 * MiB }];
  const { problems } = await lookAtTargets(rig.host, "login", images, false);
  assertEquals(problems.map(({ code }) => code), ["image-unfit"]);
  assertEquals(rig.files, ["a.img"]);
});

Deno.test("a base that was replaced meanwhile is refused", async () => {
  await using rig = new Rig();
  const { targets } = await lookAtTargets(rig.host, "login", [rig.image], false);
  Deno.writeTextFileSync(`${rig.dir}/other`, "other");
  Deno.renameSync(`${rig.dir}/other`, rig.path);
  await assertRejects(() => ArrivingImage.begin(rig.host, targets[0]!, "image-0", signal));
  assertEquals(Deno.readTextFileSync(rig.path), "other");
});

Deno.test("a base gets its name back if the look at it fails once it has lost its name", async () => {
  await using rig = new Rig();
  let isMoved = false;
  rig.onRun = (argv) => {
    if (isMoved) {
      isMoved = false;
      throw new CommandError("it took too long");
    }
    isMoved = argv[0] === "mv" && argv.at(-1) === rig.partial;
    return undefined;
  };
  await assertRejects(() => rig.begin());
  assertEquals(rig.files, ["a.img"]);
  assertEquals(Deno.readTextFileSync(rig.path).slice(0, 3), "old");
});

Deno.test("a base whose name is taken by now keeps the partial name", async () => {
  await using rig = new Rig();
  const image = await rig.begin();
  Deno.writeTextFileSync(rig.path, "other");
  await assertRejects(() => image.undo(false), CommandError, "exists by now");
  assertEquals(Deno.readTextFileSync(rig.path), "other");
  assertEquals(Deno.readTextFileSync(rig.partial).slice(0, 3), "old");
});

Deno.test("a copy does not remove the image that another one has begun to write", async () => {
  await using rig = new Rig();
  for (const delta of [true, false]) {
    const wanted = { ...rig.image, delta };
    const { targets: [second] } = await lookAtTargets(rig.host, "login", [wanted], false);
    const first = await rig.begin();
    await assertRejects(() => ArrivingImage.begin(rig.host, second!, "image-0", signal));
    assertEquals(Deno.readTextFileSync(rig.partial).slice(0, 3), "old");
    await first.close();
    await first.finish();
    assertEquals(rig.files, ["a.img"]);
  }
});

Deno.test("the undo of an image that has its name changes nothing", async () => {
  await using rig = new Rig();
  const image = await rig.begin();
  await image.connect();
  await image.close();
  await image.finish();
  await image.undo(false);
  assertEquals(rig.files, ["a.img"]);
});

Deno.test("an image that a guest has locked by the end of the copy is not replaced", async () => {
  await using rig = new Rig();
  const image = await rig.begin({ delta: false });
  await image.close();
  rig.onRun = (argv) =>
    argv[0] === "qemu-io"
      ? { code: 1, stdout: "", stderr: 'qemu-io: Failed to get "write" lock' }
      : undefined;
  await assertRejects(() => image.requireName(), MigrationError, "has locked");
  assertEquals(Deno.readTextFileSync(rig.path).slice(0, 3), "old");
});

Deno.test("an image whose name is taken by the end of the copy gets none", async () => {
  await using rig = new Rig();
  await Deno.remove(rig.path);
  const image = await rig.begin({ reuse: false, delta: false });
  await image.close();
  await image.requireName();
  Deno.writeTextFileSync(rig.path, "other");
  await assertRejects(() => image.requireName(), MigrationError, "exists by now");
  await assertRejects(() => image.finish(), MigrationError, "exists by now");
  assertEquals(Deno.readTextFileSync(rig.path), "other");
});

Deno.test("a record that cannot be written leaves no file", async () => {
  await using rig = new Rig();
  const image = await rig.begin();
  await image.connect();
  await Deno.remove(`${rig.partial}.json`);
  Deno.mkdirSync(`${rig.partial}.json`);
  await assertRejects(() => image.note(4096), CommandError);
  assertEquals(rig.files, [".a.img.vmferry-copy", ".a.img.vmferry-copy.json"]);
});
