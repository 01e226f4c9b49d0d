/**
 * Answers `describeImages`: the destination's side of the domain's files. Changes nothing.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { imageInfoArguments, parseImageInfo } from "../../host/mod.ts";
import { parseElement, VirshError } from "../../libvirt/mod.ts";
import { fileKeys, type HostFacts } from "../../migrate/mod.ts";
import type { DomainImage, DomainImageFacts, Params, Result } from "../../rpc/mod.ts";
import { command, CommandError, lookAt, type PathFacts } from "../../host/mod.ts";
import { type DestinationHost } from "./host.ts";
import { activePools, freeBytesOf, type Pool, poolAbove } from "./pools.ts";
import { type UsedImages, usedImages } from "./used_images.ts";

/** How long a look into one image may take, ms. */
const LOOK_MS = 10_000;
/** How long the blocks of a sample may take to be read, ms. */
const SAMPLE_MS = 20_000;
/** Most names of storage in an answer. */
const MAX_KEYS = 64;

/** What is known of an image's contents. */
export interface ImageContents {
  readonly format: string | null;
  /** Virtual size, bytes. */
  readonly sizeBytes: number | null;
  /** Why they are not known. */
  readonly problem: string | null;
}

/** Describes the images, in the order of the request. */
export async function describeImages(
  host: DestinationHost,
  { uuid, images }: Params<"describeImages">,
): Promise<Result<"describeImages">> {
  const paths = images.map(({ path }) => path);
  const [looks, known, pools, used] = await Promise.all([
    lookAt(host.run, paths),
    host.describeHost(paths),
    activePools(host.virsh),
    usedImages(host, uuid),
  ]);
  const facts: DomainImageFacts[] = [];
  for (const [i, image] of images.entries()) {
    facts.push(await describe(host, image, { look: looks[i]!, known, i, pools, used }));
  }
  return { images: facts };
}

interface Known {
  readonly look: PathFacts;
  readonly known: HostFacts;
  readonly i: number;
  readonly pools: readonly Pool[];
  readonly used: UsedImages;
}

async function describe(
  host: DestinationHost,
  image: DomainImage,
  { look, known, i, pools, used }: Known,
): Promise<DomainImageFacts> {
  const file = known.files[i];
  const { keys, beneath } = file ? fileKeys(file, known.bootId) : { keys: [], beneath: [] };
  const pool = poolAbove(pools, image.path);
  const { state, contents } = await contentsOf(host, image.path, look);
  const compared = state === "missing" ? null : await sampleEqual(host, image);
  return {
    name: image.name,
    state,
    sizeBytes: contents.sizeBytes,
    fileBytes: look.bytes ?? await deviceBytes(host, image.path, state, contents),
    format: contents.format,
    keys: keys.slice(0, MAX_KEYS),
    beneath: beneath.slice(0, MAX_KEYS),
    usedBy: used.userOf(image.path, keys.map(({ key }) => key)) ?? null,
    pool: pool?.name ?? null,
    directory: look.directory || pool !== undefined,
    freeBytes: await freeBytes(host, pool, look),
    sampleEqual: compared,
    problem: contents.problem,
  };
}

/** Length of a block device, whatever an earlier use has left in it; `null` where it is not known. */
async function deviceBytes(
  { run }: Pick<DestinationHost, "run">,
  path: string,
  state: PathFacts["state"],
  { format, sizeBytes }: ImageContents,
): Promise<number | null> {
  if (format === "raw" || state !== "block") return format === "raw" ? sizeBytes : null;
  const json = await command(run, imageInfoArguments(path, "raw"), LOOK_MS).catch(() => null);
  return json === null ? null : parseImageInfo(json).virtualSize;
}

/** Looks into an image: by qemu-img, else, where this user may not read it, by libvirt. */
export async function contentsOf(
  { run, virsh }: Pick<DestinationHost, "run" | "virsh">,
  path: string,
  look: PathFacts,
): Promise<{ readonly state: PathFacts["state"]; readonly contents: ImageContents }> {
  const nothing = { format: null, sizeBytes: null, problem: null };
  if (look.state === "missing" && !look.hidden) return { state: "missing", contents: nothing };
  let problem = `${path} lies in a directory that this user may not enter`;
  if (!look.hidden) {
    try {
      const json = await command(run, imageInfoArguments(path, null), LOOK_MS);
      const { format, virtualSize } = parseImageInfo(json);
      return { state: look.state, contents: { format, sizeBytes: virtualSize, problem: null } };
    } catch (error) {
      problem = messageOf(error);
    }
  }
  try {
    const xml = await virsh.ask(["vol-dumpxml", "--vol", path]);
    const volume = parseElement(xml, "volume", "The volume's XML");
    const format = volume.find("target", "format")?.attribute("type") ?? null;
    const bytes = volume.textAt("capacity");
    const sizeBytes = bytes === null ? null : Number(bytes);
    const isBlock = volume.attribute("type") === "block";
    const state = look.hidden ? (isBlock ? "block" : "file") : look.state;
    return { state, contents: { format, sizeBytes, problem: null } };
  } catch (error) {
    if (!(error instanceof VirshError)) throw error;
    // What neither of them can see may be there: the source must not take it for missing.
    return { state: look.hidden ? "other" : look.state, contents: { ...nothing, problem } };
  }
}

async function freeBytes(
  host: DestinationHost,
  pool: Pool | undefined,
  look: PathFacts,
): Promise<number | null> {
  // A pool of a directory says what is free for root, and not now but when libvirt looked last.
  if (!pool || pool.type === "dir" && look.freeBytes !== null) return look.freeBytes;
  try {
    return await freeBytesOf(host.virsh, pool) ?? look.freeBytes;
  } catch (error) {
    if (error instanceof VirshError) return look.freeBytes;
    throw error;
  }
}

/** Prints the hash of each block of file $1, of $2 bytes each, at the offsets that follow. */
const HASHES = `
file=$1 bytes=$2
shift 2
[ -r "$file" ] || exit 1
for at do
  dd if="$file" bs="$bytes" count=1 skip="$at" iflag=skip_bytes status=none | sha256sum | cut -c 1-32
done
`;

/** Whether all blocks of the image's sample are equal; `null` where there is none to compare. */
async function sampleEqual(
  host: DestinationHost,
  { path, sample }: DomainImage,
): Promise<boolean | null> {
  if (!sample || sample.offsets.length === 0) return null;
  const argv = ["sh", "-c", HASHES, "sh", path, `${sample.blockBytes}`];
  try {
    const text = await command(host.run, [...argv, ...sample.offsets.map(String)], SAMPLE_MS);
    const hashes = text.split("\n");
    return sample.hashes.every((hash, i) => hash === hashes[i]);
  } catch (error) {
    if (error instanceof CommandError) return null;
    throw error;
  }
}
