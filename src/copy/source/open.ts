import { nameOf } from "../../host/mod.ts";
import { messageOf } from "../../io/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import { NbdClient } from "../../nbd/mod.ts";
import type { CopyImage } from "../../rpc/mod.ts";
import { dataBytes } from "../engine/extents.ts";
import type { CopyHost } from "../host.ts";
import { ServedImage, ServeError } from "../serve_image.ts";
import type { SourceImage } from "./describe.ts";

/** An image that is locked against writers and can be read. */
export interface OpenedImage {
  /** Absolute path. */
  readonly path: string;
  /** For the progress: the last name of the path, or all of it where two have the same. */
  readonly name: string;
  /** Its contents. */
  readonly device: NbdClient;
  /** Bytes in it that are not known to be zeroes. */
  readonly dataBytes: number;
  /** What the destination is asked for. */
  wish(channel: string, to: string, how: Pick<CopyImage, "reuse" | "delta">): CopyImage;
}

/**
 * Serves the images, each by a qemu-nbd that has QEMU's lock on it, and opens them.
 *
 * @param stack gets what has to be closed in the end.
 * @throws {MigrationError} kind `refused`.
 * @throws the signal's reason when that is aborted.
 */
export async function openAll(
  host: CopyHost,
  images: readonly SourceImage[],
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<OpenedImage[]> {
  const names = images.map(({ path }) => nameOf(path));
  const opened: OpenedImage[] = [];
  for (const [i, image] of images.entries()) {
    const { path } = image;
    try {
      const served = stack.use(await serve(host, image, `source-${i}`, signal));
      const device = await NbdClient.open(await served.connect(), "", { clock: host.clock });
      stack.defer(() => device[Symbol.dispose]());
      const data = await dataBytes(device, signal);
      const isUnique = names.filter((name) => name === names[i]).length === 1;
      opened.push({
        ...{ path, device, dataBytes: data, name: isUnique ? names[i]! : path },
        wish: (channel, to, how) => wishFor(image, channel, to, how, data),
      });
    } catch (error) {
      if (signal.aborted || error instanceof MigrationError) throw signal.reason ?? error;
      const code = error instanceof ServeError && error.locked ? "image-in-use" : "image-unfit";
      const message = `${path} cannot be read: ${messageOf(error)}`;
      throw new MigrationError("refused", code, "source", message, { cause: error });
    }
  }
  return opened;
}

/**
 * Serves an image so that no guest can write to it meanwhile. QEMU's lock on a raw image that is only read keeps nobody
 * out: such an image is opened for writing, where this user may.
 */
async function serve(
  host: CopyHost,
  { path, info: { format } }: SourceImage,
  name: string,
  signal: AbortSignal,
): Promise<ServedImage> {
  const start = (use: "read" | "lock") =>
    ServedImage.start(host, { path, format, name, use }, signal);
  if (format !== "raw") return await start("read");
  try {
    return await start("lock");
  } catch (error) {
    if (!(error instanceof ServeError) || error.locked) throw error;
    return await start("read");
  }
}

function wishFor(
  { info, mode, owner, identity }: SourceImage,
  channel: string,
  path: string,
  how: Pick<CopyImage, "reuse" | "delta">,
  dataBytes: number,
): CopyImage {
  const isQcow2 = info.format === "qcow2";
  return {
    ...{ channel, path, format: info.format, sizeBytes: info.virtualSize },
    clusterBytes: isQcow2 ? info.clusterSize : null,
    compat: isQcow2 ? info.compat : null,
    extendedL2: isQcow2 && info.extendedL2,
    lazyRefcounts: isQcow2 && info.lazyRefcounts,
    ...{ mode, owner, dataBytes, identity, ...how },
  };
}
