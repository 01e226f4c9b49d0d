import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LaunchLab } from "../launch/lab/mod.ts";
import { assertArrived, assertNothingLeft, copy, copyFails, DIR, makeImages } from "./lab/mod.ts";

const FLIP =
  `printf 'not what came...' | dd of="$1" bs=1 seek=70000 conv=notrunc,nocreat status=none`;
const PARTIAL = `${DIR}/.b.raw.vmferry-copy`;

interface Copied {
  readonly images: readonly {
    readonly verify: { blocks: number; differed: number; rootHash: string };
  }[];
}

/** Bytes of the arriving image change. */
export const scenario: Scenario = {
  name: "copy_verify",
  about: "copy --verify proves both images, mends a block that changed on its way, and gives no " +
    "image its name if the block changes again",
  timeoutMs: 180_000,
  long: true,
  async run(context) {
    const lab = await LaunchLab.start(context);
    const { source, destination } = lab;
    const images = await makeImages(lab, 32);
    const raw = images[1]!;
    const removed = async () => {
      await assertArrived(lab, [["b.raw", "raw"]]);
      await destination.must("rm", raw);
    };

    context.note("undisturbed");
    const quiet = copy(lab, images, ["--verify"]);
    await assertExit(quiet, 0);
    const proved = await quiet.waitEvent("copy") as unknown as Copied;
    const [a, b] = proved.images.map(({ verify }) => verify);
    if (a?.blocks !== 32768 || b?.blocks !== 16384 || a.differed + b.differed !== 0) {
      throw new Error(`Got ${JSON.stringify(proved.images)}`);
    }
    await assertArrived(lab);
    await removed();

    const flipped = async () => {
      const ferry = copy(lab, [raw], ["--verify", "--bandwidth", "8M", "--compress", "off"]);
      await ferry.waitEvent("progress", (e) => {
        const [disk] = e.disks as { transferred: number }[];
        return (disk?.transferred ?? 0) > 8 << 20;
      });
      return ferry;
    };
    context.note("one flip");
    const mended = await flipped();
    await destination.must("sh", "-c", FLIP, "sh", PARTIAL);
    await assertExit(mended, 0);
    await mended.waitEvent("warning", (e) => e.code === "block-differed");
    const { images: [again] } = await mended.waitEvent("copy") as unknown as Copied;
    if (again!.verify.differed !== 1) throw new Error(`Got ${JSON.stringify(again)}`);
    if (again!.verify.rootHash !== b.rootHash) throw new Error("The root hash is another one");
    await removed();

    context.note("it comes back");
    const failing = await flipped();
    const script = `while [ -e "$1" ]; do ${FLIP}; done`;
    const flips = destination.run(["sh", "-c", script, "sh", PARTIAL]);
    await copyFails(failing, 1, /^destination disk-differs: .*b\.raw: The block at offset 65536/);
    await flips;
    for (const host of [source, destination]) await assertNothingLeft(host);
    await poll("no image to have its name", async () => {
      return (await destination.run(["find", raw])).stdout === "" || undefined;
    }, 1_000);
    return `root hash ${b.rootHash.slice(0, 16)}`;
  },
};
