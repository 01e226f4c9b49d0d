import { run } from "../../../tools/run.ts";
import { assertExit, assertRefused, type Scenario } from "../support/scenario.ts";
import { LaunchLab } from "../launch/lab/mod.ts";
import {
  assertNothingLeft,
  copy,
  copyFails,
  DIR,
  factsOf,
  holdImage,
  makeImages,
} from "./lab/mod.ts";

const MiB = 1 << 20;

/** Block devices at both ends, and images with others below them. */
export const scenario: Scenario = {
  name: "copy_devices",
  about:
    "a block device replaces the contents of another, and an image with a backing file arrives flat",
  timeoutMs: 120_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const device = async (name: string, bytes: number, script: string) => {
      const file = `${context.dir}/${name}`;
      await run("sh", ["-c", script, "sh", file, String(bytes)]);
      const path = (await run("losetup", ["--find", "--show", file])).trim();
      context.use({
        [Symbol.asyncDispose]: async () => void await run("losetup", ["-d", path]).catch(() => {}),
      });
      return path;
    };
    const from = await device(
      "from",
      64 * MiB,
      'truncate -s "$2" "$1"; head -c 9000000 /dev/urandom | dd of="$1" bs=1M seek=20 conv=notrunc',
    );
    const old = 'head -c "$2" /dev/urandom >"$1"';
    const [to, small] = [await device("to", 66 * MiB, old), await device("small", 60 * MiB, old)];

    context.note("without --reuse, and with a device that is too small");
    await assertRefused(copy(lab, [from], ["--map", `${from}=${to}`]), /image-exists/);
    const short = copy(lab, [from], ["--map", `${from}=${small}`, "--reuse", small]);
    await assertRefused(short, /image-unfit.*has 62914560 bytes, the source's image 67108864/);
    // Only the lock shows it to another host of the lab.
    const release = await holdImage(source, to, "raw");
    const locked = copy(lab, [from], ["--map", `${from}=${to}`, "--reuse", to]);
    await assertRefused(locked, /image-in-use.*has locked/);
    await release();

    context.note("it is overwritten, zeroes included");
    await assertExit(copy(lab, [from], ["--map", `${from}=${to}`, "--reuse", to]), 0);
    await run("cmp", ["-n", String(64 * MiB), from, to]);

    context.note("an image with a backing file");
    const [base] = await makeImages(lab, 8);
    const top = `${DIR}/top.qcow2`;
    const script = 'cd "$1" && qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 top.qcow2 && ' +
      'qemu-io -c "write -q -P 5 1G 1M" top.qcow2';
    await source.must("sh", "-c", script, "sh", DIR);
    const flat = copy(lab, [top]);
    await assertExit(flat, 0);
    await flat.waitEvent("warning", (e) => /arrives as one image/.test(`${e.message}`));
    await run("qemu-img", ["compare", "-q", source.file(top), destination.file(top)]);
    const { "backing-filename": below } = await factsOf(destination, top);
    if (below !== undefined) throw new Error(`It has ${below} below it`);
    context.note("the image below is written to by a guest");
    const releaseBase = await holdImage(source, base!, "qcow2");
    await copyFails(copy(lab, [top]), 3, /^source image-in-use/);
    await releaseBase();
    for (const host of [source, destination]) await assertNothingLeft(host);
  },
};
