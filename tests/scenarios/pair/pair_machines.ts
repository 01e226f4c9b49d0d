import {
  type GuestOptions,
  type Image,
  type ImageFormat,
  makeEmptyImage,
  makeImage,
  type Ring,
  SECTOR_BYTES,
} from "../guest/mod.ts";
import { hasNbdServer, leftInQemu, type QemuState, qemuState } from "../support/host.ts";
import { makeOldCopy } from "./old_copy.ts";
import { makeArrivingImage, makeBackedImage } from "./pair_backing.ts";
import { MiB, type PairDisk, type PairOptions, type PairSide } from "./pair_options.ts";
import type { BrokenSector, Disk, DiskBus, Qemu } from "../support/qemu.ts";
import type { ScenarioContext } from "../support/scenario.ts";

const DISK_BYTES = 64 * MiB;
const MEMORY_MIB = 128;
const RING: Ring = { start: 2048, length: 8192, runId: 0x5eed_0001_0000_0001n };
const TWO_DISKS: readonly PairDisk[] = [{ from: "raw", to: "raw" }, { from: "raw", to: "qcow2" }];

/** The images of both sides, disk by disk. */
interface Images {
  readonly from: readonly Image[];
  readonly to: readonly Image[];
}

/** The QEMUs of a pair with their images, and what was in them when nothing had happened yet. */
export class PairMachines {
  readonly source: Qemu;
  #destination: Qemu;
  /** Where the guest counts. */
  readonly ring: Ring;
  readonly images: Images;
  readonly #context: ScenarioContext;
  readonly #options: PairOptions;
  readonly #before: Record<PairSide, QemuState>;

  /** Makes the images, starts both QEMUs, waits until the guest counts. */
  static async start(context: ScenarioContext, options: PairOptions): Promise<PairMachines> {
    const ring = options.guest?.ring ?? ringOn(options.bytes ?? DISK_BYTES);
    const images = await makeImages(options, options.dir ?? context.dir, ring);
    const source = await startSource(context, options, images.from);
    const destination = await startDestination(context, options, images);
    await source.waitCounter(50);
    if (options.paused) await source.execute("stop");
    const before = { source: await qemuState(source), dest: await qemuState(destination) };
    return new PairMachines(context, options, source, destination, ring, images, before);
  }

  private constructor(
    context: ScenarioContext,
    options: PairOptions,
    source: Qemu,
    destination: Qemu,
    ring: Ring,
    images: Images,
    before: Record<PairSide, QemuState>,
  ) {
    this.#context = context;
    this.#options = options;
    this.source = source;
    this.#destination = destination;
    this.ring = ring;
    this.images = images;
    this.#before = before;
  }

  get destination(): Qemu {
    return this.#destination;
  }

  /** Ends the destination's QEMU and starts a new one with empty disks, as for another try. */
  async renewDestination(): Promise<void> {
    await this.#destination.quit();
    this.#destination = await startDestination(this.#context, this.#options, this.images);
    this.#before.dest = await qemuState(this.#destination);
  }

  /** What a QEMU has that it had not at first, or the reverse; a sentence each. */
  async left(side: PairSide): Promise<string[]> {
    return leftInQemu(side, this.#before[side], await qemuState(this.#at(side)));
  }

  /** A sentence where an NBD server runs in a QEMU. */
  async leftServer(side: PairSide): Promise<string[]> {
    const dir = this.#options.dir ?? this.#context.dir;
    return await hasNbdServer(this.#at(side), dir) ? [`${side}: an NBD server is left`] : [];
  }

  #at(side: PairSide): Qemu {
    return side === "source" ? this.source : this.#destination;
  }
}

/** The ring of a guest with disks of that size: BIOS refuses a write behind the end, and the guest would stand. */
function ringOn(bytes: number): Ring {
  return { ...RING, length: Math.min(RING.length, bytes / SECTOR_BYTES - RING.start) };
}

async function makeImages(options: PairOptions, dir: string, ring: Ring): Promise<Images> {
  const disks = options.disks ?? TWO_DISKS;
  const bytes = options.bytes ?? DISK_BYTES;
  const guest: GuestOptions = {
    ring,
    disks: Math.min(2, disks.length),
    waitUs: 1000,
    ramPages: 2048,
    ramStep: 2,
    ...options.guest,
  };
  const from = disks.map((d, i) => image(dir, `source-vd${i}`, d.from));
  const to = disks.map((d, i) => image(options.destinationDirs?.[i] ?? dir, `dest-vd${i}`, d.to));
  for (const [i, path] of from.entries()) {
    const { dataBytes: randomBytes = bytes, backing, shrinks = false } = disks[i]!;
    const content = { bytes, seed: i + 1, randomBytes, shrinks, ...(i === 0 ? { guest } : {}) };
    if (backing) await makeBackedImage(path, backing, content);
    else await makeImage(path, content);
  }
  return { from, to };
}

async function startSource(
  context: ScenarioContext,
  options: PairOptions,
  images: readonly Image[],
): Promise<Qemu> {
  const disks = options.disks ?? TWO_DISKS;
  return await context.qemu({
    dir: options.dir ?? context.dir,
    name: "source",
    disks: images.map((path, i) => attached(`vd${i}`, path, disks[i]!.bus, disks[i]!.brokenFrom)),
    memoryMiB: options.memoryMiB ?? MEMORY_MIB,
    prefix: options.network?.source.prefix ?? [],
    logged: options.logged ?? false,
    extra: options.sourceExtra ?? [],
  });
}

async function startDestination(
  context: ScenarioContext,
  options: PairOptions,
  { from: sources, to: images }: Images,
): Promise<Qemu> {
  const disks = options.disks ?? TWO_DISKS;
  const arriving: Disk[] = [];
  for (const [i, path] of images.entries()) {
    const disk = disks[i]!;
    if (disk.destinationId === null) continue;
    await Deno.remove(path.path).catch(() => {});
    const size = disk.destinationBytes ?? options.bytes ?? DISK_BYTES;
    if (disk.backing) await makeArrivingImage(path, disk.backing, sources[i]!);
    else if (disk.oldCopy) await makeOldCopy(path, sources[i]!, size);
    else await makeEmptyImage(path, size, disk.preallocated);
    const arrived = attached(disk.destinationId ?? `vd${i}`, path, disk.bus, disk.brokenTo);
    arriving.push({
      ...arrived,
      ...(disk.discardTo ? { discard: disk.discardTo } : {}),
      ...(disk.nbdTo === undefined ? {} : { nbdSocket: disk.nbdTo }),
    });
  }
  return await context.qemu({
    dir: options.dir ?? context.dir,
    name: "dest",
    disks: arriving,
    incoming: options.incoming ?? true,
    memoryMiB: options.memoryMiB ?? MEMORY_MIB,
    prefix: options.network?.destination.prefix ?? [],
    logged: options.logged ?? false,
    extra: options.destinationExtra ?? [],
  });
}

function image(dir: string, name: string, format: ImageFormat): Image {
  return { path: `${dir}/${name}.${format}`, format };
}

function attached(
  id: string,
  image: Image,
  bus: DiskBus | undefined,
  broken: BrokenSector | undefined,
): Disk {
  return { id, image, ...(bus ? { bus } : {}), ...(broken ? { broken } : {}) };
}
