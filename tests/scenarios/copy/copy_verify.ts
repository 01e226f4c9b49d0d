import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";
import { LaunchLab, serveInstead } from "../launch/lab/mod.ts";
import { flipByte } from "../pair/flips.ts";
import { WrongStorage } from "../pair/wrong_storage.ts";
import { assertArrived, assertNothingLeft, copy, copyFails, DIR, makeImages } from "./lab/mod.ts";

/** A byte of the second block, which has data. */
const AT = 70_000;
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
    "image its name if the block stays wrong",
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

    context.note("one flip");
    const slow = ["--verify", "--bandwidth", "8M", "--compress", "off"];
    const mended = copy(lab, [raw], slow);
    const partial = destination.file(PARTIAL);
    await poll("the block to arrive", () => hasArrived(partial), 60_000, 20);
    await flipByte(partial, AT);
    await assertExit(mended, 0);
    await mended.waitEvent("warning", (e) => e.code === "block-differed");
    const { images: [again] } = await mended.waitEvent("copy") as unknown as Copied;
    if (again!.verify.differed !== 1) throw new Error(`Got ${JSON.stringify(again)}`);
    if (again!.verify.rootHash !== b.rootHash) throw new Error("The root hash is another one");
    await removed();

    context.note("a byte is read wrong however often it is written");
    const socket = `${lab.shared}/wrong.sock`;
    context.use(new WrongStorage({ image: partial, sizeBytes: 1 << 30, at: AT, socket }));
    await serveInstead(lab, socket);
    const failing = copy(lab, [raw], ["--verify"]);
    await copyFails(failing, 1, /^destination disk-differs: .*b\.raw: The block at offset 65536/);
    for (const host of [source, destination]) await assertNothingLeft(host);
    await poll("no image to have its name", async () => {
      return (await destination.run(["find", raw])).stdout === "" || undefined;
    }, 1_000);
    return `root hash ${b.rootHash.slice(0, 16)}`;
  },
};

/** The bytes around {@link AT} are written; a copy writes them once. */
async function hasArrived(image: string): Promise<true | undefined> {
  try {
    using file = await Deno.open(image);
    await file.seek(AT, Deno.SeekMode.Start);
    const bytes = new Uint8Array(16);
    return await file.read(bytes) !== null && bytes.some((byte) => byte !== 0) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
