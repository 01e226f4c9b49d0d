import { messageOf } from "../../io/mod.ts";
import type { BlockSource } from "../../nbd/mod.ts";
import { type BlockGraph, type Disk, type QmpClient, queryBlockGraph } from "../../qmp/mod.ts";
import { type DiskDescription, RpcError } from "../../rpc/mod.ts";
import { SessionError } from "../../tunnel/mod.ts";
import { type MigrationError, refusal } from "../errors.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import type { StorageAccess } from "./access.ts";
import { hashRange } from "./base_hash.ts";
import { backingFiles, type Base, baseProblem } from "./bases.ts";
import { openBase } from "./destination_bases.ts";
import { TemporaryExports } from "./temporary_exports.ts";

/** Length of the first range that both ends hash, and of the longest, bytes. */
const FIRST_BYTES = 64 * 1024 * 1024;
const MOST_BYTES = 8 * 1024 * 1024 * 1024;
/** Ranges grow while a range takes less than this, and shrink if it takes four times as long, ms. */
const QUICK_MS = 2_000;

/** What {@link compareBases} needs. */
export interface CompareBasesOptions {
  readonly access: StorageAccess;
  readonly peer: DestinationPeer;
  /** All disks of the guest. */
  readonly disks: readonly Disk[];
  /** The disks that are to be copied. */
  readonly copied: readonly DiskDescription[];
  /** Compare the contents, too. */
  readonly verify: boolean;
  /** Called after each range of a backing file that both ends have hashed; bytes. */
  readonly onProgress: (disk: string, done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** A disk with backing files. */
interface Backed {
  readonly disk: string;
  readonly chain: readonly Base[];
}

/**
 * Makes sure that the destination's disks have the backing files of the source's, so that the uppermost
 * images alone need to cross. Changes nothing.
 *
 * @returns the names of the disks that have backing files; the others must cross as a whole.
 * @throws {MigrationError} kind `refused`, code `base-differs` or `base-not-compared`.
 */
export async function compareBases(options: CompareBasesOptions): Promise<Set<string>> {
  const { access, peer, copied, signal } = options;
  const graph = await queryBlockGraph(access.qmp);
  const backed = withBackingFiles(graph, options);
  if (backed.length === 0) return new Set();
  const { disks: there } = await peer.describeBases({ disks: [...copied] }, signal)
    .catch((error) => {
      throw oldPeer(error);
    });
  const problems: string[] = [];
  const unread: string[] = [];
  for (const { disk, chain } of backed) {
    const other = there.find((d) => d.disk === disk);
    // `prepare` refuses a disk without a counterpart.
    if (!other) continue;
    const problem = baseProblem(disk, chain, other);
    if (problem !== undefined) problems.push(problem);
    else if (other.hasData === null) unread.push(`disk ${disk}: ${other.why ?? "not read"}`);
  }
  if (problems.length > 0) throw refusal("base-differs", "destination", problems);
  if (unread.length > 0) throw notCompared(unread);
  if (options.verify) await verifyContents(options, graph, backed);
  return new Set(backed.map(({ disk }) => disk));
}

/** Names of the copied disks that have backing files. */
export async function backedDisks(
  qmp: QmpClient,
  disks: Pick<CompareBasesOptions, "disks" | "copied">,
): Promise<Set<string>> {
  const backed = withBackingFiles(await queryBlockGraph(qmp), disks);
  return new Set(backed.map(({ disk }) => disk));
}

function withBackingFiles(
  graph: BlockGraph,
  { disks, copied }: Pick<CompareBasesOptions, "disks" | "copied">,
): Backed[] {
  return copied.flatMap(({ name }): Backed[] => {
    const disk = disks.find((d) => d.name === name);
    const chain = disk ? backingFiles(graph, disk.nodeName) : [];
    return chain.length === 0 ? [] : [{ disk: name, chain }];
  });
}

async function verifyContents(
  options: CompareBasesOptions,
  graph: BlockGraph,
  backed: readonly Backed[],
): Promise<void> {
  const { access, signal } = options;
  await using exports = await TemporaryExports.start(access);
  const problems: string[] = [];
  for (const { disk, chain } of backed) {
    const [base] = chain;
    let source: BlockSource;
    try {
      source = await openBase(access, exports, graph, base!);
    } catch (error) {
      signal.throwIfAborted();
      throw notCompared([`disk ${disk}: ${messageOf(error)}`]);
    }
    const at = await firstDifference(options, disk, source);
    if (at === undefined) continue;
    const { address } = base!;
    problems.push(
      `disk ${disk}: the contents of the destination's backing file differ from ${address} of the ` +
        `source, first between the bytes ${at.offset} and ${at.offset + at.length}. Copy the ` +
        "source's file there, or leave out --sync top",
    );
  }
  if (problems.length > 0) throw refusal("base-differs", "destination", problems);
}

/** The range where both ends first differ; both hash each range at the same time. */
async function firstDifference(
  { access, peer, copied, onProgress, signal }: CompareBasesOptions,
  disk: string,
  source: BlockSource,
): Promise<{ readonly offset: number; readonly length: number } | undefined> {
  const total = source.sizeBytes;
  let length = FIRST_BYTES;
  for (let offset = 0; offset < total;) {
    signal.throwIfAborted();
    const range = { offset, length: Math.min(length, total - offset) };
    const began = access.clock.now();
    const [here, there] = await Promise.all([
      hashRange(source, range),
      peer.hashBase({ disks: [...copied], disk, ...range }, signal),
    ]).catch((error) => {
      signal.throwIfAborted();
      if (error instanceof SessionError) throw error;
      throw notCompared([`disk ${disk}: ${messageOf(error)}`]);
    });
    if (here !== there) return range;
    offset += range.length;
    onProgress(disk, offset, total);
    const tookMs = access.clock.now() - began;
    if (tookMs < QUICK_MS) length = Math.min(MOST_BYTES, length * 2);
    else if (tookMs > 4 * QUICK_MS) length = Math.max(FIRST_BYTES, length / 2);
  }
  return undefined;
}

function oldPeer(error: unknown): unknown {
  if (!(error instanceof RpcError) || error.code !== "unknown-procedure") return error;
  return notCompared(["the destination's vmferry is too old to describe its backing files"]);
}

function notCompared(reasons: readonly string[]): MigrationError {
  const problems = reasons.map((why) =>
    `The backing files of both ends were not compared (${why}). Leave out --sync top to copy everything`
  );
  return refusal("base-not-compared", "destination", problems);
}
