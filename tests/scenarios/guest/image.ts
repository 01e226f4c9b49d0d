import { bootSector, type GuestOptions } from "./boot_sector.ts";
import { type Ring, SECTOR_BYTES } from "./ring.ts";
import { checkRing, type RingReport } from "./verify_ring.ts";

/** Formats of QEMU that the scenarios use. */
export type ImageFormat = "raw" | "qcow2";

/** An image file. */
export interface Image {
  readonly path: string;
  readonly format: ImageFormat;
}

/** What a new image holds: boot sector, an unwritten ring, and seeded random bytes around it. */
export interface ImageContent {
  /** Virtual size, a multiple of 1 MiB. */
  readonly bytes: number;
  /** The guest that is to run; left out on disks that it does not boot from. */
  readonly guest?: GuestOptions;
  /** Of the pseudo-random data; the same seed makes the same image. */
  readonly seed: number;
  /** How many bytes of random data from the start; the rest reads as zeros. Default all. */
  readonly randomBytes?: number;
  /** The random data shrinks to a third. Default false: to nothing smaller. */
  readonly shrinks?: boolean;
}

const CHUNK = 1024 * 1024;

/**
 * Makes an image with content: the source of a migration.
 *
 * @throws {Error} when `qemu-img` fails or the file exists.
 */
export async function makeImage(image: Image, content: ImageContent): Promise<void> {
  const raw = image.format === "raw" ? image.path : `${image.path}.raw`;
  await writeRaw(raw, content);
  if (image.format === "raw") return;
  try {
    await qemuImg("convert", "-f", "raw", "-O", image.format, raw, image.path);
  } finally {
    await Deno.remove(raw);
  }
}

/** Makes an empty image of a virtual size, thin by default: the destination of a migration. */
export async function makeEmptyImage(
  image: Image,
  bytes: number,
  preallocated = false,
): Promise<void> {
  const options = preallocated ? ["-o", "preallocation=falloc"] : [];
  await qemuImg("create", "-q", "-f", image.format, ...options, image.path, String(bytes));
}

/**
 * Checks the ring of an image that no QEMU has open.
 *
 * @param disk which of the guest's disks this is, from 0.
 */
export async function verifyRing(image: Image, ring: Ring, disk: number): Promise<RingReport> {
  return await withRaw(image, async (path) => {
    using file = await Deno.open(path);
    await file.seek(ring.start * SECTOR_BYTES, Deno.SeekMode.Start);
    const sectors = new Uint8Array(ring.length * SECTOR_BYTES);
    const got = await fill(file, sectors);
    if (got !== sectors.length) {
      throw new Error(`${image.path} ends inside the ring: got ${got}, expected ${sectors.length}`);
    }
    return checkRing(sectors, ring, disk);
  });
}

/**
 * Compares two images as their guest reads them, but for the ring.
 *
 * @returns a sentence about the first difference, or `undefined` when there is none.
 */
export async function differenceOutsideRing(
  a: Image,
  b: Image,
  ring: Ring,
): Promise<string | undefined> {
  const from = ring.start * SECTOR_BYTES;
  const to = from + ring.length * SECTOR_BYTES;
  return await withRaw(a, (pathA) =>
    withRaw(b, async (pathB) => {
      using fileA = await Deno.open(pathA);
      using fileB = await Deno.open(pathB);
      const [chunkA, chunkB] = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
      for (let at = 0;; at += CHUNK) {
        const [gotA, gotB] = await Promise.all([fill(fileA, chunkA), fill(fileB, chunkB)]);
        if (gotA !== gotB) return `${a.path} and ${b.path} differ in size at ${at + gotA}`;
        if (gotA === 0) return undefined;
        for (const chunk of [chunkA, chunkB]) {
          chunk.fill(0, clamp(from - at), clamp(to - at));
        }
        const offset = firstDifference(chunkA.subarray(0, gotA), chunkB.subarray(0, gotB));
        if (offset !== undefined) {
          return `${a.path} and ${b.path} differ at byte ${at + offset}: ` +
            `${chunkA[offset]} and ${chunkB[offset]}`;
        }
      }
    }));
}

function clamp(offset: number): number {
  return Math.max(0, Math.min(CHUNK, offset));
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const whole = a.length - (a.length % 8);
  const [wordsA, wordsB] = [a, b].map((bytes) =>
    new BigUint64Array(bytes.buffer, bytes.byteOffset, whole / 8)
  ) as [BigUint64Array, BigUint64Array];
  for (let i = 0; i < wordsA.length; i++) {
    if (wordsA[i] !== wordsB[i]) return firstByte(i * 8);
  }
  return firstByte(whole);

  function firstByte(start: number): number | undefined {
    for (let i = start; i < a.length; i++) if (a[i] !== b[i]) return i;
    return undefined;
  }
}

async function writeRaw(path: string, content: ImageContent): Promise<void> {
  const { bytes, guest, seed, randomBytes = bytes, shrinks = false } = content;
  if (bytes % CHUNK !== 0) throw new RangeError(`Got a size of ${bytes}, expected whole MiB`);
  using file = await Deno.open(path, { createNew: true, write: true });
  await file.truncate(bytes);
  const random = new XorShift(seed);
  const chunk = new Uint8Array(CHUNK);
  const words = new Uint32Array(chunk.buffer);
  for (let at = 0; at < randomBytes; at += CHUNK) {
    for (let i = 0; i < words.length; i++) {
      words[i] = shrinks && i % 4 > 0 ? words[i - 1]! : random.next();
    }
    if (at === 0 && guest) chunk.set(bootSector(guest));
    await writeWhole(file, chunk.subarray(0, Math.min(CHUNK, randomBytes - at)));
  }
  if (randomBytes === 0 && guest) await writeWhole(file, bootSector(guest));
}

/** Marsaglia's xorshift32: quick, seeded, and compresses to nothing smaller. */
class XorShift {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x;
  }
}

async function withRaw<T>(image: Image, use: (path: string) => Promise<T>): Promise<T> {
  if (image.format === "raw") return await use(image.path);
  const raw = `${image.path}.${crypto.randomUUID()}.raw`;
  try {
    await qemuImg("convert", "-f", image.format, "-O", "raw", image.path, raw);
    return await use(raw);
  } finally {
    await Deno.remove(raw).catch(() => {});
  }
}

async function qemuImg(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("qemu-img", { args, stdout: "null" }).output();
  if (!success) {
    throw new Error(`qemu-img ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

async function fill(file: Deno.FsFile, into: Uint8Array): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const n = await file.read(into.subarray(done));
    if (n === null) break;
    done += n;
  }
  return done;
}

async function writeWhole(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
