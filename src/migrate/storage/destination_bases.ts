import { messageOf, withDeadline } from "../../io/mod.ts";
import type { BlockSource, NbdReader } from "../../nbd/mod.ts";
import { type Disk, queryBlockGraph } from "../../qmp/mod.ts";
import { type Result, RpcError } from "../../rpc/mod.ts";
import type { StorageAccess } from "./access.ts";
import { backingFiles, type Base } from "./bases.ts";
import { hashRange, type Range } from "./base_hash.ts";
import { baseToRead, topToRead } from "./readable.ts";
import { canExportOwn, TemporaryExports } from "./temporary_exports.ts";

/** How long a look at an image's allocation may take, ms. */
const LOOK_MS = 20_000;
/** How long one read of a backing file may take, ms. */
const READ_MS = 60_000;

/** Describes the backing files of the destination's disks. */
export async function describeBases(
  access: StorageAccess,
  pairs: readonly { readonly disk: string; readonly local: Disk }[],
): Promise<Result<"describeBases">> {
  const graph = await queryBlockGraph(access.qmp);
  const chains = pairs.map(({ local }) => backingFiles(graph, local.nodeName));
  await using exports = await TemporaryExports.start(access);
  const disks: Result<"describeBases">["disks"] = [];
  for (const [i, { disk, local }] of pairs.entries()) {
    const chain = chains[i]!.map(({ file, address, sizeBytes }) => ({ file, address, sizeBytes }));
    const none = { disk, chain, hasData: null };
    if (chain.length === 0) {
      disks.push({ ...none, why: null });
      continue;
    }
    try {
      const top = topToRead(graph, local.nodeName);
      if (!top) throw new Error("its image cannot be opened a second time");
      const reader = await exports.open(top, "allocated");
      const what = "the destination's image to be read";
      const hasData = await withDeadline(access.clock, LOOK_MS, what, hasAny(reader));
      disks.push({ ...none, hasData, why: null });
    } catch (error) {
      disks.push({ ...none, why: messageOf(error) });
    }
  }
  return { disks };
}

/** Hashes a range of a disk's backing files at the destination. */
export async function hashBase(
  access: StorageAccess,
  disk: Disk,
  range: Range,
): Promise<Result<"hashBase">> {
  const graph = await queryBlockGraph(access.qmp);
  const [base] = backingFiles(graph, disk.nodeName);
  if (!base) throw new RpcError("refused", `disk ${disk.name} has no backing file`);
  await using exports = await TemporaryExports.start(access);
  const reader = await openBase(access, exports, graph, base);
  return { hash: await hashRange(reader, range) };
}

/**
 * Opens what the guest reads from a backing file and those below it, beside QEMU's own nodes.
 *
 * @throws {Error} when QEMU cannot open it a second time.
 */
export async function openBase(
  access: StorageAccess,
  exports: TemporaryExports,
  graph: Awaited<ReturnType<typeof queryBlockGraph>>,
  base: Base,
): Promise<BlockSource> {
  const { qmp, clock } = access;
  const node = baseToRead(graph, base.node, { ownNodes: await canExportOwn(qmp) });
  if (!node) throw new Error(`${base.address} cannot be opened a second time`);
  const reader = await exports.open(node);
  const timed = <T>(work: Promise<T>) =>
    withDeadline(clock, READ_MS, `${base.address} to be read`, work);
  return {
    sizeBytes: reader.sizeBytes,
    read: (offset, length) => timed(reader.read(offset, length)),
    extents: (offset, length) => timed(reader.extents(offset, length)),
  };
}

/** Whether an image has anything of its own. */
async function hasAny(reader: NbdReader): Promise<boolean> {
  for (let at = 0; at < reader.sizeBytes;) {
    const extents = await reader.extents(at, Math.min(reader.sizeBytes - at, 1 << 30));
    const last = extents.at(-1);
    if (!last || extents.some(({ isData }) => isData)) return true;
    at = last.offset + last.length;
  }
  return false;
}
