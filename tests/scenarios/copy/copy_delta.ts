import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LaunchLab, signalReceive } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, copyFails, DIR, makeImages } from "./lab/mod.ts";

const PARTIAL = ".a.qcow2.vmferry-copy";
const LEFT = [PARTIAL, `${PARTIAL}.json`];

/** The same images again, with a part of them changed. */
export const scenario: Scenario = {
  name: "copy_delta",
  about: "copy --delta sends what has changed, never leaves half an image with its name, and " +
    "finds after a kill what it has sent",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const images = await makeImages(lab, 96);
    const [first, raw] = [images[0]!, images[1]!];
    const reuse = images.flatMap((path) => ["--reuse", path]);
    const again = [...reuse, "--delta", "--compress", "off"];
    const change = async (path: string, format: string, at: string, length: string) => {
      const random = `head -c ${length} /dev/urandom >/tmp/change`;
      const write = `qemu-io -f ${format} -c "write -q -s /tmp/change ${at} ${length}" ${path}`;
      await source.must("sh", "-c", `${random} && ${write} && rm /tmp/change`);
    };
    const done = async (args: readonly string[]) => {
      const ferry = copy(lab, images, args);
      await assertExit(ferry, 0);
      await assertArrived(lab);
      for (const host of [source, destination]) await assertNothingLeft(host);
      return (await ferry.waitEvent("copy")) as unknown as {
        bytes: number;
        images: { dataBytes: number; skippedBytes: number }[];
      };
    };

    context.note("the first copy");
    const whole = await done(["--compress", "off"]);
    const all = whole.images.reduce((sum, { dataBytes }) => sum + dataBytes, 0);

    context.note("2 % have changed");
    await change(first, "qcow2", "1M", "983040");
    await change(raw, "raw", "701M", "983040");
    await source.must("qemu-io", "-f", "raw", "-c", "write -q -z -u 604M 1M", raw);
    const mode = await destination.must("sh", "-c", `chmod 640 ${first}; stat -c %a ${first}`);
    const second = await done(again);
    if (second.bytes > all * 0.05) throw new Error(`${second.bytes} of ${all} bytes were sent`);
    const old = second.images.reduce((sum, { skippedBytes }) => sum + skippedBytes, 0);
    if (!(old > all * 0.9 && old < all)) throw new Error(`${old} of ${all} bytes were there`);
    const kept = await destination.must("stat", "-c", "%a", first);
    if (kept !== mode) throw new Error(`The mode was ${mode}, and is ${kept}`);

    context.note("refused: nothing is touched");
    await destination.must("qemu-img", "resize", "-q", "-f", "raw", raw, "1025M");
    await copyFails(copy(lab, images, again), 3, /image-unfit: .*cannot be the base of --delta/);
    await assertNothingLeft(destination);
    await destination.must("qemu-img", "resize", "-q", "--shrink", "-f", "raw", raw, "1G");

    for (const end of ["source", "destination"] as const) {
      context.note(`the ${end} is killed`);
      await change(first, "qcow2", "720M", "40M");
      const killed = copy(lab, images, [...again, "--bandwidth", "3M"]);
      await killed.waitEvent("phase", (e) => e.phase === "copy");
      const record = `${DIR}/${PARTIAL}.json`;
      await poll("a part to be on stable storage", async () => {
        const { stdout } = await destination.run(["cat", record]);
        return stdout !== "" && JSON.parse(stdout).doneBytes > 700 * 2 ** 20 || undefined;
      }, 60_000);
      await (end === "source" ? killed.signal("SIGKILL") : signalReceive(lab, "KILL"));
      await assertExit(killed, end === "source" ? 137 : 1, 40_000);
      await poll("qemu-nbd to end", async () => {
        const { stdout } = await destination.run(["pgrep", "qemu-nbd"]);
        return stdout === "" || undefined;
      }, 40_000);
      const { stdout: names } = await destination.run(["find", DIR, "-name", "a.*"]);
      if (names !== "") throw new Error(`A mixture has its name: ${names}`);
    }
    await assertNothingLeft(source);
    context.note("once more");
    const last = await done(again);
    if (last.bytes > 38 * 2 ** 20) throw new Error(`${last.bytes} bytes were sent again`);

    context.note("a refusal at the second image gives the first one its name back");
    const before = await destination.must("stat", "-c", "%i", first);
    await destination.must("mkdir", `${DIR}/.b.raw.vmferry-copy`);
    await copyFails(copy(lab, images, again), 3, /^destination .*Is a directory/);
    await destination.must("rmdir", `${DIR}/.b.raw.vmferry-copy`);
    const after = await destination.must("stat", "-c", "%i", first);
    if (after !== before) throw new Error("Another file has the name of the first image");
    return `${second.bytes} of ${all} bytes, after the kills ${last.bytes}; left were ${LEFT}`;
  },
};
