import { type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient, RawNode } from "../../qmp/mod.ts";
import type { DiskPair } from "./plan.ts";

/** What zeroes make of the image that a disk is copied into. */
export interface TargetImage {
  /** The disk's name at the source. */
  readonly disk: string;
  /** Virtual size, bytes. */
  readonly sizeBytes: number;
  /** All of it is allocated, as `preallocation=falloc` makes it: zeroes as holes would make it thin. */
  readonly allocated: boolean;
  /** It is thin, and zeroes allocate: QEMU 8.0 or so and later without `discard=unmap` on the format node. */
  readonly fills: boolean;
}

/** An image with no more than this is new: some file systems allocate the first block of each. */
const NEW_BYTES = 64 << 10;
const TRIED_BYTES = 64 << 10;
const LEAST_BYTES = 4 << 20;

/**
 * Finds out what zeroes do to each exported raw file. QMP does not tell a node's `discard` option, so it
 * is tried: zeroes are written into the hole of an image that is new, where they change nothing that can
 * be read. Other formats keep their size, other storage does not tell what it has allocated: both are
 * left out. To be called when the disks are about to be copied, with QEMU's exports in place: they have
 * made the nodes active.
 *
 * `human-monitor-command` and `qemu-io` since QEMU 1.5; without an answer an image is left out.
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
    // A QEMU that is slow or does not know the command: its images are written as any other.
    log.log("info", `the destination's images: ${messageOf(error)}`);
  }
  return images;
}

async function look(
  qmp: QmpClient,
  pairs: readonly DiskPair[],
  images: TargetImage[],
): Promise<void> {
  const nodes = await nodesOf(qmp);
  for (const { name: disk, local } of pairs) {
    const bytes = allocatedBytes(nodes, local.nodeName);
    if (bytes === undefined) continue;
    const { sizeBytes, nodeName } = local;
    const allocated = bytes >= sizeBytes;
    const isNew = bytes <= NEW_BYTES && sizeBytes >= LEAST_BYTES;
    const fills = isNew && await zeroesFill(qmp, nodeName, sizeBytes);
    if (allocated || fills) images.push({ disk, sizeBytes, allocated, fills });
  }
}

async function zeroesFill(qmp: QmpClient, node: string, sizeBytes: number): Promise<boolean> {
  const middle = Math.floor(sizeBytes / 2 / TRIED_BYTES) * TRIED_BYTES;
  const before = allocatedBytes(await nodesOf(qmp), node);
  const write = { "command-line": `qemu-io ${node} "write -z -u ${middle} ${TRIED_BYTES}"` };
  await qmp.execute("human-monitor-command", write);
  const after = allocatedBytes(await nodesOf(qmp), node);
  return before !== undefined && after !== undefined && after - before >= TRIED_BYTES;
}

async function nodesOf(qmp: QmpClient): Promise<readonly RawNode[]> {
  return await qmp.execute("query-named-block-nodes", { flat: true });
}

/** Of a raw image in a file; `undefined` for any other. */
function allocatedBytes(nodes: readonly RawNode[], name: string): number | undefined {
  const node = nodes.find((n) => n["node-name"] === name);
  if (!node || (node.drv !== "raw" && node.drv !== "file")) return undefined;
  const inFile = nodes.some(({ drv, file }) => drv === "file" && file === node.file);
  return inFile ? node.image?.["actual-size"] : undefined;
}

/**
 * Warnings about images that this source's QEMU can't keep thin. From 10.1 on a mirror reads which of
 * its target's blocks are zero and leaves them; no query tells whether a QEMU does.
 */
export function thickened(qmp: QmpClient, images: readonly TargetImage[]): string[] {
  if (qmp.atLeast(10, 1)) return [];
  return images.filter(({ fills }) => fills).map(fillsWarning);
}

function fillsWarning({ disk, sizeBytes }: TargetImage): string {
  const size = sizeBytes >= 2 ** 30
    ? `${(sizeBytes / 2 ** 30).toFixed(2)} GiB`
    : `${(sizeBytes / 2 ** 20).toFixed(0)} MiB`;
  return `destination: disk ${disk} will not stay thin: all of its ${size} will be allocated. ` +
    "To keep it thin, start the destination's QEMU with discard=unmap for this disk " +
    '(libvirt: discard="unmap" in its driver element, Proxmox: discard=on)';
}
