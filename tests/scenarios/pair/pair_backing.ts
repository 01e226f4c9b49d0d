import { type Image, type ImageContent, type ImageFormat, makeImage } from "../guest/mod.ts";

/** Images below a disk's image, which is empty at first at either end. */
export interface PairBacking {
  /** Format of the lowest image, which has the content. */
  readonly format: ImageFormat;
  /** Number of images below. With two, the upper one has a few bytes of its own. Default 1. */
  readonly depth?: 1 | 2;
  /** What the destination has below: the same, nothing, or something else. Default `same`. */
  readonly there?:
    | "same"
    | "none"
    | "other content"
    | "other size"
    | "other name"
    | "flat"
    | "own data";
}

/** Makes the source's image over new images with the content. */
export async function makeBackedImage(
  image: Image,
  { format, depth = 1 }: PairBacking,
  content: ImageContent,
): Promise<void> {
  const dir = basesOf(image);
  await Deno.mkdir(dir);
  let base: Image = { path: `${dir}/low.${format}`, format };
  await makeImage(base, content);
  if (depth === 2) {
    const upper: Image = { path: `${dir}/up.qcow2`, format: "qcow2" };
    await overlay(upper, base);
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 0x77 6M 64k", upper.path);
    base = upper;
  }
  await overlay(image, base);
}

/** Makes the destination's image over a copy of what is below the source's. */
export async function makeArrivingImage(
  image: Image,
  { format, depth = 1, there = "same" }: PairBacking,
  source: Image,
): Promise<void> {
  const bytes = await virtualSize(source);
  if (there === "none") return await run("qemu-img", "create", "-qf", "qcow2", image.path, bytes);
  const [from, to] = [basesOf(source), basesOf(image)];
  await Deno.remove(to, { recursive: true }).catch(() => {});
  await run("cp", "--sparse=always", "-r", from, to);
  const low: Image = { path: `${to}/low.${format}`, format };
  const up: Image = { path: `${to}/up.qcow2`, format: "qcow2" };
  if (depth === 2) {
    await run("qemu-img", "rebase", "-uf", "qcow2", "-F", format, "-b", low.path, up.path);
  }
  let top = depth === 2 && there !== "flat" ? up : low;
  if (there === "other content") {
    await run("qemu-io", "-f", low.format, "-c", "write -P 0x55 5M 512", low.path);
  } else if (there === "other size") {
    await run("qemu-img", "resize", "-qf", top.format, top.path, "+1M");
  } else if (there === "other name") {
    const renamed = { ...top, path: `${to}/renamed.${top.format}` };
    await Deno.rename(top.path, renamed.path);
    top = renamed;
  }
  await run(
    "qemu-img",
    "create",
    "-qf",
    "qcow2",
    "-b",
    top.path,
    "-F",
    top.format,
    image.path,
    bytes,
  );
  // Zeroes hide the image below like any other data.
  if (there === "own data") {
    await run("qemu-io", "-f", "qcow2", "-c", "write -z 20M 64k", image.path);
  }
}

function basesOf({ path }: Image): string {
  return `${path}.below`;
}

async function overlay(image: Image, base: Image): Promise<void> {
  await run("qemu-img", "create", "-qf", "qcow2", "-b", base.path, "-F", base.format, image.path);
}

async function virtualSize({ path }: Image): Promise<string> {
  const { stdout } = await new Deno.Command("qemu-img", {
    args: ["info", "-U", "--output=json", path],
  }).output();
  return String(JSON.parse(new TextDecoder().decode(stdout))["virtual-size"]);
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdout: "null" }).output();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}
