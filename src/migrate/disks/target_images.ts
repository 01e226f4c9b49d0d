import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, queryBlockGraph, type RawNode } from "../../qmp/mod.ts";
import { formatNode } from "../storage/chain.ts";
import type { DiskPair } from "./plan.ts";

/** How zeroes affect the image file that a disk is copied into. */
export interface TargetImage {
  /** The disk's name at the source. */
  readonly disk: string;
  /** Virtual size, bytes. */
  readonly sizeBytes: number;
  /** It is fully allocated, as by `preallocation=falloc`: holes would make it thin. */
  readonly allocated: boolean;
  /** It is thin, and zeroes allocate: about QEMU 8.0 and later, without `discard=unmap` on the format node. */
  readonly fills: boolean;
}

/** An image with at most this much allocated is new, bytes: some file systems allocate the first block. */
const NEW_BYTES = 64 << 10;
/** Zeroes that are written to find out, bytes. */
const TRIED_BYTES = 64 << 10;
/** Smaller images are left out, bytes. */
const LEAST_BYTES = 4 << 20;

/**
 * Finds out how zeroes affect each exported raw file. QMP does not report a node's `discard` option, so
 * this function tries it: it writes zeroes into the hole of a new image, where they change no data.
 * It leaves out other formats, which keep their size, and other storage, whose allocation is unknown.
 * Call it right before the copy, when the exports have made QEMU's nodes active.
 *
 * Uses `qemu-io` by `human-monitor-command` (QEMU 1.5). Never rejects: an image without an answer is
 * left out.
 */
export async function lookAtImages(
  qmp: QmpClient,
  pairs: readonly DiskPair[],
  log: Logger,
): Promise<TargetImage[]> {
  const images: TargetImage[] = [];
  try {
    await look(qmp, pairs, images);
  } catch (error) {
    // QEMU is slow or lacks the command: its images are then written like all others.
    log.log("info", `zeroes were not tried on the destination's images: ${messageOf(error)}`);
  }
  return images;
}

async function look(
  qmp: QmpClient,
  pairs: readonly DiskPair[],
  images: TargetImage[],
): Promise<void> {
  const [nodes, graph] = await Promise.all([nodesOf(qmp), queryBlockGraph(qmp)]);
  for (const { name: disk, local } of pairs) {
    const { sizeBytes } = local;
    // Filters above it, such as a throttle, pass the zeroes on.
    const nodeName = formatNode(graph, local.nodeName)?.name ?? local.nodeName;
    const bytes = allocatedBytes(nodes, nodeName);
    if (bytes === undefined) continue;
    const allocated = bytes >= sizeBytes;
    const isNew = bytes <= NEW_BYTES && sizeBytes >= LEAST_BYTES;
    const fills = isNew && await zeroesFill(qmp, local.nodeName, nodeName, sizeBytes);
    if (allocated || fills) images.push({ disk, sizeBytes, allocated, fills });
  }
}

/** @param top the node that the guest uses, and `node` the format's below it. */
async function zeroesFill(
  qmp: QmpClient,
  top: string,
  node: string,
  sizeBytes: number,
): Promise<boolean> {
  const middle = Math.floor(sizeBytes / 2 / TRIED_BYTES) * TRIED_BYTES;
  const before = allocatedBytes(await nodesOf(qmp), node);
  const write = { "command-line": `qemu-io ${top} "write -z -u ${middle} ${TRIED_BYTES}"` };
  await qmp.execute("human-monitor-command", write);
  const after = allocatedBytes(await nodesOf(qmp), node);
  return before !== undefined && after !== undefined && after - before >= TRIED_BYTES;
}

async function nodesOf(qmp: QmpClient): Promise<readonly RawNode[]> {
  return await qmp.execute("query-named-block-nodes", { flat: true });
}

/** Allocated bytes of a raw image file; `undefined` for any other node. */
function allocatedBytes(nodes: readonly RawNode[], name: string): number | undefined {
  const node = nodes.find((n) => n["node-name"] === name);
  if (!node || (node.drv !== "raw" && node.drv !== "file")) return undefined;
  const inFile = nodes.some(({ drv, file }) => drv === "file" && file === node.file);
  return inFile ? node.image?.["actual-size"] : undefined;
}

/**
 * Images that the source's QEMU fills with zeroes. From QEMU 10.1 on a mirror skips blocks that its target
 * reports as zero; the version decides, because no query reports this.
 *
 * @param qmp of the source.
 */
export function filledByZeroes(
  qmp: Pick<QmpClient, "atLeast">,
  images: readonly TargetImage[],
): readonly TargetImage[] {
  return qmp.atLeast(10, 1) ? [] : images.filter(({ fills }) => fills);
}

/** What to do about an image that is filled. */
export function fillsWarning({ disk, sizeBytes }: TargetImage): string {
  const size = sizeBytes >= 2 ** 30
    ? `${(sizeBytes / 2 ** 30).toFixed(2)} GiB`
    : `${(sizeBytes / 2 ** 20).toFixed(0)} MiB`;
  return `destination: disk ${disk} will not stay thin: all of its ${size} will be allocated. ` +
    "To keep it thin, start the destination's QEMU with discard=unmap for this disk " +
    '(libvirt: discard="unmap" in its driver element; Proxmox: discard=on)';
}
