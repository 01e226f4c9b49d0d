import { messageOf, withDeadline } from "../../io/mod.ts";
import type { NbdReader } from "../../nbd/mod.ts";
import { type Disk, queryBlockGraph } from "../../qmp/mod.ts";
import { type BlockSample, type DiskDescription, type Result, RpcError } from "../../rpc/mod.ts";
import type { DestinationPeer } from "../source/destination_peer.ts";
import type { StorageAccess } from "./access.ts";
import { identifyDisks } from "./identify.ts";
import { nodesOfSource } from "./readable.ts";
import { doubleWords, findDoubles, findSame, wordsOf } from "./same.ts";
import { BLOCK_BYTES, hashBlocks, type Random, takeSample } from "./sample.ts";
import { canExportOwn, TemporaryExports } from "./temporary_exports.ts";
import { FEWEST, isWorthAnotherLook, judge, type Match } from "./verdict.ts";

/** How long the source may take to read its samples, ms. */
const READ_MS = 20_000;
/** Most samples in one call. */
const IN_A_CALL = 64;
/** How often both sides read different blocks again. */
const LOOKS = 2;

export interface CompareOptions {
  readonly access: StorageAccess;
  readonly peer: DestinationPeer;
  /** All disks of the guest; disks that are not copied have storage, too. */
  readonly disks: readonly Disk[];
  /** The disks that are to be copied. */
  readonly copied: readonly DiskDescription[];
  /** The disks of --shared, and those of `implied`. */
  readonly shared: readonly DiskDescription[];
  /** Names of disks that stay although the user has not said that both ends have their storage. */
  readonly implied: readonly string[];
  /** Names of the disks of --reuse. */
  readonly reuse: readonly string[];
  /** Picks the blocks of a sample; `Math.random` by default. */
  readonly random?: Random;
  readonly signal: AbortSignal;
}

/** The result of a comparison, a message each. */
export interface Compared {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** A sample and the reader of its disk, to read blocks again. */
interface Taken {
  readonly sample: BlockSample;
  readonly reader: NbdReader;
}

const OLD_PEER =
  "the destination's vmferry is too old to compare the storage of both hosts. Make sure " +
  "that no disk of the destination is on storage of the source";

/**
 * Finds out, before anything is written, whether a disk of the destination is storage of the source: by its
 * names on both hosts, and by its data. Changes nothing and removes all that it makes in QEMU.
 *
 * @returns problems that must prevent the migration, and warnings where the data was not compared.
 * @throws {RpcError} code `refused`, when the destination does not take the disks; the signal's reason.
 */
export async function compareStorage(options: CompareOptions): Promise<Compared> {
  const { access, peer, copied, shared, signal } = options;
  const disks = [...copied, ...shared];
  if (disks.length === 0) return { problems: [], warnings: [] };
  let there: Result<"describeDisks">["disks"];
  try {
    there = (await peer.describeDisks({ disks }, signal)).disks;
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "unknown-procedure") throw error;
    return { problems: [], warnings: [OLD_PEER] };
  }
  const own = options.disks.filter((disk) => !disk.empty);
  const roots = own.map((disk) => disk.nodeName);
  const { disks: here } = await identifyDisks(access.qmp, roots, access.describeHost);
  const isShared = (name: string) => shared.some((disk) => disk.name === name);
  const targets = there.filter(({ disk }) => !isShared(disk))
    .map(({ disk, nodes }) => ({ name: disk, nodes }));
  const sources = here.map(({ nodes }, i) => ({ name: own[i]!.name, nodes }));
  const same = findSame(sources, targets);
  const named = [...same.map(wordsOf), ...findDoubles(targets).map(doubleWords)];
  if (named.length > 0) return { problems: named, warnings: [] };
  const overwritten = there.filter((disk) => disk.overwritten).map(({ disk }) => disk);
  const staying = there.map(({ disk, nodes }) => ({ name: disk, nodes }));
  const certain = findSame(sources, staying).filter(({ source: s, destination: d }) => s === d)
    .map(({ source }) => source);
  const implied = options.implied.filter((name) => !certain.includes(name));
  // Of a disk that the destination does not have nothing is known: `prepare` names it.
  const known = shared.filter(({ name }) => there.some(({ disk }) => disk === name));
  return await compareContent({ ...options, shared: known, implied }, own, overwritten);
}

async function compareContent(
  options: CompareOptions,
  own: readonly Disk[],
  overwritten: readonly string[],
): Promise<Compared> {
  const { shared, implied, reuse, signal } = options;
  const warnings: string[] = [];
  let matches: Match[];
  try {
    matches = await findMatches(options, own, warnings);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RpcError && error.code === "refused") throw error;
    options.access.log.log("debug", `comparing storage: ${messageOf(error)}`);
    const side = error instanceof RpcError ? "destination" : "source";
    return { problems: [], warnings: [notCompared(`${side}: ${messageOf(error)}`)] };
  }
  const known = { reuse, shared: shared.map((d) => d.name), implied, overwritten };
  const verdict = judge(matches, known);
  return { problems: verdict.problems, warnings: [...warnings, ...verdict.warnings] };
}

async function findMatches(
  options: CompareOptions,
  own: readonly Disk[],
  warnings: string[],
): Promise<Match[]> {
  const { access, peer, copied, shared, signal } = options;
  const disks = [...copied, ...shared];
  await using exports = await TemporaryExports.start(access);
  const taken = await takeSamples(options, own, exports, warnings);
  const matches: Match[] = [];
  for (let at = 0; at < taken.length; at += IN_A_CALL) {
    const part = taken.slice(at, at + IN_A_CALL);
    signal.throwIfAborted();
    const answer = await peer.compareBlocks(
      { disks, samples: part.map(({ sample }) => sample) },
      signal,
    );
    for (const { disk, why } of at === 0 ? answer.notRead : []) {
      warnings.push(notCompared(`disk ${disk} of the destination: ${why}`));
    }
    for (const { disk } of disks.map(({ name }) => ({ disk: name }))) {
      for (const [i, { sample, reader }] of part.entries()) {
        const found = answer.matches.find((m) => m.sample === i && m.disk === disk);
        // Nothing is known of a disk that could not be read.
        if (!found && answer.notRead.some((each) => each.disk === disk)) continue;
        const total = sample.offsets.length;
        let equal = found?.equal.length ?? 0;
        let differing = sample.offsets.filter((_, j) => !found?.equal.includes(j));
        for (let look = 0; look < LOOKS && isWorthAnotherLook({ equal, total }); look++) {
          const again = await lookAgain(options, { disk, sample, reader, differing });
          equal += differing.length - again.length;
          differing = again;
        }
        matches.push({ source: sample.disk, destination: disk, equal, total });
      }
    }
  }
  return matches;
}

/** Samples of each disk, of the guest's view and of the storage below; a disk that cannot be read is a warning. */
async function takeSamples(
  { access, signal, random = Math.random }: CompareOptions,
  own: readonly Disk[],
  exports: TemporaryExports,
  warnings: string[],
): Promise<Taken[]> {
  const graph = await queryBlockGraph(access.qmp);
  const ownNodes = await canExportOwn(access.qmp);
  const opened: { disk: string; reader: NbdReader }[] = [];
  for (const disk of own) {
    const nodes = nodesOfSource(graph, disk.nodeName, { ownNodes });
    let why = nodes.length === 0 ? "its storage cannot be opened a second time" : undefined;
    for (const node of nodes) {
      signal.throwIfAborted();
      try {
        opened.push({ disk: disk.name, reader: await exports.open(node) });
      } catch (error) {
        why = messageOf(error);
      }
    }
    // One readable node is enough for a disk.
    if (why !== undefined && !opened.some((o) => o.disk === disk.name)) {
      warnings.push(notCompared(`disk ${disk.name} of the source: ${why}`));
    }
  }
  const taking = opened.map(async ({ disk, reader }): Promise<Taken> => {
    const { offsets, hashes } = await takeSample(reader, random);
    const sample = { disk, blockBytes: BLOCK_BYTES, offsets: [...offsets], hashes: [...hashes] };
    return { sample, reader };
  });
  const what = "the source's disks to be read";
  const taken = await withDeadline(access.clock, READ_MS, what, Promise.all(taking));
  return taken.filter(({ sample }) => sample.offsets.length >= FEWEST);
}

/** Offsets of the blocks that still differ when both sides have read them again. */
async function lookAgain(
  { peer, copied, shared, signal }: CompareOptions,
  { disk, sample, reader, differing }: Taken & { disk: string; differing: readonly number[] },
): Promise<number[]> {
  const hashes = await hashBlocks(reader, differing);
  const asked = differing.flatMap((offset, i) => hashes[i] ? [{ offset, hash: hashes[i] }] : []);
  const { matches } = await peer.compareBlocks({
    disks: [...copied, ...shared],
    samples: [{
      ...sample,
      offsets: asked.map(({ offset }) => offset),
      hashes: asked.map(({ hash }) => hash),
    }],
  }, signal);
  const equal = matches.find((match) => match.disk === disk)?.equal ?? [];
  const now = equal.map((i) => asked[i]?.offset);
  return differing.filter((offset) => !now.includes(offset));
}

function notCompared(why: string): string {
  return `the data of the disks was not compared (${why}). Make sure that no disk of the destination is on ` +
    "storage of the source under another name";
}
