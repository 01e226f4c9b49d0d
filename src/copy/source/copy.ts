import { MigrationError, openConnections, refusalOf, type Report } from "../../migrate/mod.ts";
import { DeltaDevice, DeltaDisk, KnownHashes, type Range } from "../../delta/mod.ts";
import type { BlockDevice, NbdClient } from "../../nbd/mod.ts";
import type { CopyImage, Result } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { copyDevice } from "../engine/copy_device.ts";
import { dataBytes } from "../engine/extents.ts";
import type { CopyHost } from "../host.ts";
import { SourceChanges } from "./changes.ts";
import { describeImages } from "./describe.ts";
import { failureOf } from "./failure.ts";
import { CopyPeer } from "./peer.ts";
import { openAll, type OpenedImage } from "./open.ts";
import { CopyProgress, type ImageProgress } from "./progress.ts";
import { BlockDiffersError, type VerifiedImage, verifyImage } from "./verify.ts";

/** What it needs. */
export interface CopySourceOptions {
  /** This host. */
  readonly host: CopyHost;
  /** The images, absolute paths. */
  readonly paths: readonly string[];
  /** Format of all images; `undefined`: what their contents look like. */
  readonly format: string | undefined;
  /** Path at the destination of an image. */
  readonly target: (path: string) => string;
  /** Paths at the destination of which the contents may be replaced. */
  readonly reuse: readonly string[];
  /** Continue with what an earlier copy has left. */
  readonly resume: boolean;
  /** What the destination's images hold already is not sent; needs `reuse`. */
  readonly delta: boolean;
  /** Both ends compare the images that have arrived. */
  readonly verify: boolean;
  /** Limits a new session. */
  readonly limit: (session: Session) => void;
  /** Opens the session. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  /** Gets the events. */
  readonly report: Report;
  /** Aborted with a {@link MigrationError}: gives up. */
  readonly signal: AbortSignal;
}

/** An image that was copied. Sizes in bytes. */
export interface CopiedImage {
  /** Path at the source. */
  readonly path: string;
  /** Path at the destination. */
  readonly to: string;
  /** Virtual size. */
  readonly sizeBytes: number;
  /** Data in it. */
  readonly dataBytes: number;
  /** What it takes at the destination; `null` where unknown. */
  readonly allocatedBytes: number | null;
  /** With `delta`: data that was not sent, because the destination had it. */
  readonly skippedBytes?: number;
  /** With `verify`: what was compared. */
  readonly verify?: VerifiedImage;
}

/** An image on its way. */
interface Crossing {
  readonly opened: OpenedImage;
  /** What the destination was asked for. */
  readonly wanted: CopyImage;
  /** What it has of it. */
  readonly begun: Result<"prepareCopy">["images"][number];
  readonly progress: ImageProgress;
  /** With `delta` and a base. */
  delta?: DeltaDisk;
  verified?: VerifiedImage;
}

/** The source of a copy. */
export class CopySource {
  readonly #options: CopySourceOptions;
  readonly #progress: CopyProgress;
  #peer: CopyPeer | undefined;
  #openBases: readonly string[] = [];

  /** Begins nothing yet. */
  constructor(options: CopySourceOptions) {
    this.#options = options;
    this.#progress = new CopyProgress(options.report, options.host.clock);
  }

  /** Bytes that crossed, both directions. */
  get bytes(): number {
    return this.#peer?.session.bytes ?? 0;
  }

  /** Paths at the destination whose older images may be changed in part, under the partial name. */
  get openBases(): readonly string[] {
    return this.#openBases;
  }

  /** Something was written at the destination. */
  get hasBegun(): boolean {
    return this.#progress.sum > 0;
  }

  /**
   * Copies the images.
   *
   * @throws {MigrationError} kind `refused` before anything was created, else with everything undone but what a
   * later copy continues with.
   */
  async run(): Promise<readonly CopiedImage[]> {
    const { host, report, signal, paths, format } = this.#options;
    await using stack = new AsyncDisposableStack();
    report({ event: "phase", phase: "prepare" });
    const { images, problems, warnings } = await describeImages(host, paths, format);
    if (problems.length > 0) throw refusalOf(problems);
    for (const warning of warnings) report({ event: "warning", ...warning });
    const opened = await openAll(host, images, stack, signal);
    const changes = await SourceChanges.watch(host, images);
    const session = await this.#options.connect(signal);
    this.#options.limit(session);
    const peer = this.#peer = new CopyPeer(session, host);
    try {
      await openConnections(session, signal);
      const copied = await this.#cross(peer, opened, changes);
      await session.close();
      return copied;
    } catch (error) {
      const failure = await failureOf(error, session);
      await peer.abort(failure);
      await session.close();
      throw failure;
    } finally {
      await peer.join();
    }
  }

  async #cross(
    peer: CopyPeer,
    opened: readonly OpenedImage[],
    changes: SourceChanges,
  ): Promise<CopiedImage[]> {
    const { report, signal, delta, verify } = this.#options;
    if (delta || verify) await peer.requireHashes(signal);
    const images = await this.#prepare(peer, opened);
    // A device has no partial name.
    this.#openBases = images.filter(({ begun, wanted }) =>
      begun.hasBase && !wanted.path.startsWith("/dev/")
    ).map(({ wanted }) => wanted.path);
    report({ event: "phase", phase: "copy" });
    for (const { opened: { device }, begun: { doneBytes }, progress } of images) {
      if (doneBytes > 0) progress.add(await dataBytes(device, signal, doneBytes));
    }
    using progress = this.#progress;
    progress.start();
    for (const image of images) {
      await this.#copyOne(peer, image);
      image.progress.done();
    }
    progress.report();
    if (verify) {
      report({ event: "phase", phase: "verify" });
      progress.phase = "verify";
      for (const image of images) image.verified = await this.#verifyOne(peer, image);
      progress.report();
    }
    await changes.requireNone();
    const arrived = await peer.finish(signal);
    return images.map(({ opened: { path, dataBytes: data, device }, wanted, ...image }, i) => ({
      ...{ path, sizeBytes: device.sizeBytes, dataBytes: data },
      to: arrived[i]?.path ?? wanted.path,
      allocatedBytes: arrived[i]?.allocatedBytes ?? null,
      ...(delta ? { skippedBytes: skipped(image.delta) } : {}),
      ...(image.verified ? { verify: image.verified } : {}),
    }));
  }

  async #prepare(peer: CopyPeer, opened: readonly OpenedImage[]): Promise<Crossing[]> {
    const { report, signal, target, reuse, resume, delta } = this.#options;
    const wanted = opened.map((image, i) => {
      const to = target(image.path);
      return image.wish(`image-${i}`, to, { reuse: reuse.includes(to), delta });
    });
    const { begun, warnings } = await peer.prepare(wanted, resume, signal);
    for (const message of warnings) report({ event: "warning", code: "copy", message });
    return opened.map((image, i) => ({
      ...{ opened: image, wanted: wanted[i]!, begun: begun[i]! },
      progress: this.#progress.image(image.name, image.dataBytes, image.device.sizeBytes),
    }));
  }

  async #copyOne(peer: CopyPeer, image: Crossing): Promise<void> {
    const { opened: { device: source }, wanted: { channel }, begun, progress } = image;
    const { host: { clock, log }, signal, delta } = this.#options;
    await this.#using(peer, image, async (target) => {
      let device: BlockDevice = target;
      if (delta && begun.hasBase) {
        const ask = (range: Range) => peer.hashBlocks({ disk: channel, ...range }, signal);
        const hashes = new KnownHashes({ ask, sizeBytes: target.sizeBytes, log });
        image.delta = new DeltaDisk(hashes, target.sizeBytes);
        device = new DeltaDevice(target, image.delta, { noHoles: false });
        progress.skipped = () => skipped(image.delta);
      }
      await copyDevice({
        ...{ source, target: device, clock, signal, onData: progress.add },
        ...{ from: begun.doneBytes, zeroed: begun.zeroed },
        onCheckpoint: (doneBytes) => peer.note(channel, doneBytes),
      });
    });
  }

  async #verifyOne(peer: CopyPeer, image: Crossing): Promise<VerifiedImage> {
    const { opened: { path, device: source }, wanted: { channel }, progress } = image;
    const { host: { clock }, signal, report } = this.#options;
    return await this.#using(peer, image, (target) =>
      verifyImage({
        ...{ source, target, now: () => clock.now(), onSame: progress.same },
        ask: (range) => peer.hashBlocks({ disk: channel, ...range }, signal),
        onMended: (offset, blocks) => {
          const message = `${path}: ${blocks} blocks from offset ${offset} on had arrived with ` +
            "another content, and were sent again";
          report({ event: "warning", code: "block-differed", message });
        },
      })).catch((error) => {
        if (!(error instanceof BlockDiffersError)) throw error;
        const message = `${image.wanted.path}: ${error.message}`;
        throw new MigrationError("failed", "disk-differs", "destination", message);
      });
  }

  /** Opens the arriving image for as long as `use` takes. */
  async #using<T>(
    peer: CopyPeer,
    { opened: { device: source }, wanted: { channel } }: Crossing,
    use: (target: NbdClient) => Promise<T>,
  ): Promise<T> {
    const { signal } = this.#options;
    const target = await peer.open(channel, signal);
    // Requests that wait for a connection that is down must not delay the end.
    const stop = () => {
      source[Symbol.dispose]();
      target[Symbol.dispose]();
    };
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      if (target.sizeBytes < source.sizeBytes || target.readOnly) {
        const message =
          `The image has ${target.sizeBytes} bytes there, expected ${source.sizeBytes}`;
        throw new MigrationError("failed", "probe-size-mismatch", "destination", message);
      }
      const result = await use(target);
      await target.close();
      return result;
    } finally {
      signal.removeEventListener("abort", stop);
      target[Symbol.dispose]();
    }
  }
}

/** Data that a copy did not send. */
function skipped(disk: DeltaDisk | undefined): number {
  return disk ? disk.skippedBytes - disk.skippedZeroBytes : 0;
}
