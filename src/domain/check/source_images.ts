import {
  type ImageInfo,
  imageInfoArguments,
  ImageInfoError,
  parseImageInfo,
  ProgramError,
  type RunProgram,
} from "../../host/mod.ts";
import { type DomainDisk, type Virsh } from "../../libvirt/mod.ts";
import type { SourceImage } from "./image_rules.ts";

/** How long a look into one image may take, ms. */
const LOOK_MS = 10_000;
/** Most images of a chain that are looked into; libvirt itself allows 200. */
const MOST_IMAGES = 200;

/** What is needed to look into an image. */
export interface ImageAccess {
  readonly source: Virsh;
  readonly run: RunProgram;
  readonly signal: AbortSignal;
}

/**
 * Looks into a disk's image: by qemu-img, else, where this user may not read it, by libvirt, which knows
 * its sizes only.
 *
 * @throws {VirshError | ImageInfoError} when libvirt does not know it either.
 */
export async function sourceImage(
  uuid: string,
  disk: DomainDisk,
  path: string,
  access: ImageAccess,
): Promise<SourceImage> {
  const special = disk.encrypted ? "encrypted" : disk.dataFile === null ? null : "with a data file";
  const info = await imageInfo(path, disk.format, access);
  if (!info) return { ...await byLibvirt(uuid, disk, access), special };
  const below = await backingBytes(info, access);
  const { backing } = info;
  return {
    sizeBytes: info.virtualSize,
    allocatedBytes: info.actualSize === null ? null : info.actualSize + below,
    clusterBytes: info.clusterSize,
    compat: info.compat,
    extendedL2: info.extendedL2,
    lazyRefcounts: info.lazyRefcounts,
    special: special ?? (info.encrypted ? "encrypted" : null),
    backing: backing && {
      path: backing.path,
      format: backing.format ?? disk.backing[0]?.format ?? "raw",
    },
  };
}

/** `undefined` where qemu-img cannot read it. */
async function imageInfo(
  path: string,
  format: string | null,
  { run, signal }: ImageAccess,
): Promise<ImageInfo | undefined> {
  try {
    const argv = imageInfoArguments(path, format);
    const { code, stdout } = await run(argv, { timeoutMs: LOOK_MS, signal });
    return code === 0 ? parseImageInfo(stdout) : undefined;
  } catch (error) {
    if (error instanceof ProgramError || error instanceof ImageInfoError) return undefined;
    throw error;
  }
}

/** What the images below occupy: a copy has their data too. */
async function backingBytes({ backing }: ImageInfo, access: ImageAccess): Promise<number> {
  let sum = 0;
  for (let i = 0, next = backing; next && i < MOST_IMAGES; i++) {
    const info = await imageInfo(next.path, next.format, access);
    sum += info?.actualSize ?? 0;
    next = info?.backing ?? null;
  }
  return sum;
}

async function byLibvirt(
  uuid: string,
  { target, backing }: DomainDisk,
  { source, signal }: ImageAccess,
): Promise<SourceImage> {
  const args = ["domblkinfo", "--domain", uuid, "--device", target];
  const text = await source.ask(args, { signal });
  const number = (name: string) => {
    const digits = new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const below = backing[0];
  const sizeBytes = number("Capacity");
  if (sizeBytes === null) {
    throw new ImageInfoError(`libvirt does not know the size of disk ${target}`);
  }
  return {
    sizeBytes,
    allocatedBytes: number("Allocation"),
    ...{ clusterBytes: null, compat: null, extendedL2: false, lazyRefcounts: false },
    special: null,
    backing: below?.path ? { path: below.path, format: below.format } : null,
  };
}
