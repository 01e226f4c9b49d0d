/**
 * What `--delta` builds on: an image or a device at the destination that holds most of what the source's holds.
 *
 * @module
 */
import {
  command,
  CommandError,
  imageInfoArguments,
  lookAt,
  parseImageInfo,
  type PathFacts,
} from "../../host/mod.ts";
import { messageOf } from "../../io/mod.ts";
import type { CopyImage } from "../../rpc/mod.ts";
import type { CopyHost } from "../host.ts";
import { fileOf, partialPath, readRecord } from "./partial.ts";
import type { CopyProblem } from "./problem.ts";

/** How long it may take to look into an image, ms. */
const LOOK_MS = 20_000;
/** How long a file may take to be cloned or to be renamed, ms. */
const TAKE_MS = 60_000;

/** Removes what a `cp` that failed has made (`$1`): never a file with contents, which is somebody's image. */
const REMOVE_EMPTY = '[ -s "$1" ] || rm -f -- "$1"';

/** Moves the file (`$1`) with this device and inode (`$3`) to a name (`$2`) that is free. Older `mv -n` exit with 0 in any case. */
const RETURN = `
is() { [ "$(stat -c '%d %i' -- "$1" 2>/dev/null)" = "$2" ]; }
is "$1" "$3" || exit 0
mv -nT -- "$1" "$2"
if is "$1" "$3"; then echo "$2 exists by now: the image that it was is $1" >&2; exit 1; fi
`;

/**
 * `device`: it is written in place. `file`: the image that is replaced. `partial`: what an earlier copy with `--delta`
 * has left under the partial name. `file`: device and inode.
 */
export interface Base {
  readonly kind: "device" | "file" | "partial";
  readonly file: string;
}

/** Finds the base of an image with `delta`: a problem, a warning, or neither where there is nothing at its path. */
export async function findBase(
  host: CopyHost,
  image: CopyImage,
  path: string,
  look: PathFacts,
  partial: PathFacts,
): Promise<{ readonly base?: Base; readonly problem?: CopyProblem; readonly warning?: string }> {
  if (look.state === "block") return { base: { kind: "device", file: fileOf(look) } };
  const file = fileOf(partial);
  if (partial.state === "file") {
    const record = await readRecord(host, path);
    const fits = record?.base && record.file === file && record.format === image.format &&
      record.sizeBytes === image.sizeBytes;
    if (fits) return { base: { kind: "partial", file } };
  }
  if (look.state === "missing") {
    return { warning: `${path} does not exist, so --delta saves nothing for it` };
  }
  const unfit = await unfitness(host, image, path);
  if (unfit === undefined) return { base: { kind: "file", file: fileOf(look) } };
  const message =
    `${path} cannot be the base of --delta: ${unfit}. Leave out --delta to replace it`;
  return { problem: { code: "image-unfit", message } };
}

async function unfitness(
  { run }: CopyHost,
  { format, sizeBytes }: CopyImage,
  path: string,
): Promise<string | undefined> {
  try {
    // Its format is the one of the source's image, whatever a guest has written into it.
    const info = parseImageInfo(await command(run, imageInfoArguments(path, format), LOOK_MS));
    if (info.virtualSize !== sizeBytes) {
      return `it has ${info.virtualSize} bytes, the source's image ${sizeBytes}`;
    }
    if (info.backing) return `it needs ${info.backing.path} below it`;
    if (info.encrypted) return "it is encrypted";
    return info.dataFile === null ? undefined : `its data lies in a second file, ${info.dataFile}`;
  } catch (error) {
    const words = messageOf(error).replace(/^qemu-img: /, "");
    return `expected an image with the format ${format}, as the source's: ${words}`;
  }
}

/**
 * Makes the file at `path` the partial image: a clone that shares its blocks where the file system can do that, else
 * the file itself. It must not look whole while it is a mixture.
 *
 * @param noting called with device and inode of the partial image, and whether that is the file itself, before the file
 * loses its name.
 * @throws {CommandError} when neither works; {@link returnBase} gives the file its name back then.
 */
export async function takeBase(
  { run }: CopyHost,
  path: string,
  { file }: Base,
  noting: (file: string, isItself: boolean) => Promise<void>,
): Promise<void> {
  const partial = partialPath(path);
  const clone = ["cp", "-P", "--reflink=always", "--preserve=mode,ownership", "--", path, partial];
  if ((await run(clone, { timeoutMs: TAKE_MS })).code === 0) {
    const [look] = await lookAt(run, [partial]);
    return await noting(fileOf(look!), false);
  }
  await command(run, ["sh", "-c", REMOVE_EMPTY, "sh", partial]);
  await noting(file, true);
  await command(run, ["mv", "-nT", "--", path, partial], TAKE_MS);
  const [look] = await lookAt(run, [partial]);
  if (fileOf(look!) === file) return;
  await command(run, ["mv", "-nT", "--", partial, path], TAKE_MS);
  throw new CommandError(`${path} was replaced`);
}

/**
 * Gives the file its name back, of which nothing was changed, unless it has it.
 *
 * @param file device and inode of the file.
 * @throws {CommandError} when it keeps the partial name, because another file has its own by now.
 */
export async function returnBase(
  { run }: Pick<CopyHost, "run">,
  path: string,
  file: string,
): Promise<void> {
  await command(run, ["sh", "-c", RETURN, "sh", partialPath(path), path, file], TAKE_MS);
}
