import { messageOf, withDeadline } from "../../io/mod.ts";
import type { NbdReader } from "../../nbd/mod.ts";
import { type Disk, listDisks, queryBlockGraph, queryWrittenNodes } from "../../qmp/mod.ts";
import { type DiskDescription, type Params, type Result, RpcError } from "../../rpc/mod.ts";
import { type DiskChoice, localOf } from "../disks/plan.ts";
import type { StorageAccess } from "./access.ts";
import { describeBases, hashBase } from "./destination_bases.ts";
import { identifyDisks } from "./identify.ts";
import { nodesOfDestination } from "./readable.ts";
import { equalBlocks } from "./sample.ts";
import { canExportOwn, TemporaryExports } from "./temporary_exports.ts";

/** How long the destination may take to read for one comparison, ms. */
const READ_MS = 20_000;
/** With more pairs of a sample and a readable node, each sample is compared with its own disk only. */
const MOST_PAIRS = 1024;

interface Readable {
  readonly disk: string;
  readonly reader: NbdReader;
}

/** Answers the questions about storage at the destination. One comparison at a time. */
export class DestinationStorage {
  readonly #access: StorageAccess;
  readonly #choices: readonly DiskChoice[];
  #comparing: Promise<void> = Promise.resolve();

  /** @param choices the destination's `--disk`. */
  constructor(access: StorageAccess, choices: readonly DiskChoice[]) {
    this.#access = access;
    this.#choices = choices;
  }

  /** Resolves when QEMU has no exports or nodes of a comparison. Never rejects. */
  get idle(): Promise<void> {
    return this.#comparing;
  }

  /** The names of the storage of these disks, for RPC `describeDisks`. */
  async describe({ disks }: Params<"describeDisks">): Promise<Result<"describeDisks">> {
    const { qmp, describeHost } = this.#access;
    const locals = await this.#localsOf(disks);
    const roots = locals.map(({ local }) => local.nodeName);
    const [{ disks: found }, written] = await Promise.all([
      identifyDisks(qmp, roots, describeHost),
      queryWrittenNodes(qmp),
    ]);
    return {
      disks: locals.map(({ disk, local }, i) => ({
        disk,
        local: local.name,
        overwritten: written.has(local.nodeName),
        nodes: [...found[i]!.nodes],
      })),
    };
  }

  /** The backing files of these disks, for RPC `describeBases`. */
  async describeBases({ disks }: Params<"describeBases">): Promise<Result<"describeBases">> {
    return await this.#alone(async () => {
      return await describeBases(this.#access, await this.#localsOf(disks));
    });
  }

  /** The hash of a range of a disk's backing files, for RPC `hashBase`. */
  async hashBase({ disks, disk, ...range }: Params<"hashBase">): Promise<Result<"hashBase">> {
    return await this.#alone(async () => {
      const pair = (await this.#localsOf(disks)).find((local) => local.disk === disk);
      if (!pair) throw new RpcError("refused", `the destination has no disk ${disk}`);
      return await hashBase(this.#access, pair.local, range);
    });
  }

  /** Finds which blocks of the samples the destination's disks have, for RPC `compareBlocks`. */
  async compare(params: Params<"compareBlocks">): Promise<Result<"compareBlocks">> {
    return await this.#alone(() => this.#compare(params));
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const comparing = this.#comparing.then(work);
    this.#comparing = comparing.then(() => {}, () => {});
    return await comparing;
  }

  async #compare({ disks, samples }: Params<"compareBlocks">): Promise<Result<"compareBlocks">> {
    const { qmp, clock } = this.#access;
    const notRead: Result<"compareBlocks">["notRead"] = [];
    const matches: Result<"compareBlocks">["matches"] = [];
    const locals = await this.#localsOf(disks);
    const graph = await queryBlockGraph(qmp);
    const ownNodes = await canExportOwn(qmp);
    await using exports = await TemporaryExports.start(this.#access);
    const readables: Readable[] = [];
    for (const { disk, local } of locals) {
      const nodes = nodesOfDestination(graph, local.nodeName, { ownNodes });
      let why = nodes.length === 0 ? "its storage cannot be opened a second time" : undefined;
      for (const node of nodes) {
        try {
          readables.push({ disk, reader: await exports.open(node) });
        } catch (error) {
          why = messageOf(error);
        }
      }
      // One readable node is enough for a disk.
      if (why !== undefined && !readables.some((r) => r.disk === disk)) notRead.push({ disk, why });
    }
    const isWide = samples.length * readables.length > MOST_PAIRS;
    const looking = samples.map(async (sample, i) => {
      const best = new Map<string, number[]>();
      for (const { disk, reader } of readables) {
        if (isWide && disk !== sample.disk) continue;
        const equal = await equalBlocks(reader, sample).catch((error) => {
          notRead.push({ disk, why: messageOf(error) });
          return [];
        });
        if (equal.length > (best.get(disk)?.length ?? 0)) best.set(disk, equal);
      }
      for (const [disk, equal] of best) matches.push({ sample: i, disk, equal });
    });
    await withDeadline(clock, READ_MS, "the disks to be read", Promise.all(looking));
    return { matches, notRead };
  }

  /**
   * The destination's disks of these disks of the source; disks without a counterpart are left out. Those that
   * cannot be copied to are among them, such as disks with share-rw=on: both ends may share their storage.
   */
  async #localsOf(disks: readonly DiskDescription[]): Promise<{ disk: string; local: Disk }[]> {
    const all = await listDisks(this.#access.qmp);
    return disks.flatMap((disk) => {
      const local = localOf(disk, all, this.#choices);
      return local && !local.empty ? [{ disk: disk.name, local }] : [];
    });
  }
}
