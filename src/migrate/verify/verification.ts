import { type Clock, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { BLOCK_BYTES, BlockHashes, type Range } from "../../delta/mod.ts";
import { NbdClient } from "../../nbd/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { Side, VerifiedDisk } from "../events.ts";
import type { Mirror } from "../disks/mirror_target.ts";
import type { Limits } from "../limits.ts";
import type { DestinationLink } from "../source/destination_link.ts";
import type { HostAccess } from "../storage/access.ts";
import type { UndoList } from "../undo.ts";
import type { WarningCode } from "../warning_table.ts";
import { DiskProof } from "./disk_proof.ts";
import { OwnExports } from "./own_exports.ts";
import { PageHashes } from "./page_hashes.ts";
import { Rounds } from "./rounds.ts";
import { type Found, type PausedDisk, verdict, wordsOn } from "./verdict.ts";
import type { WriteWatch } from "./watched_device.ts";

/** The migration, as far as its verification needs it. */
export interface VerifyContext {
  readonly options: {
    readonly host: HostAccess;
    readonly compareSocket: string;
    readonly limits: Pick<Limits, "maxDowntimeMs">;
  };
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly undo: UndoList;
  /** Connected once the comparison begins. */
  readonly destination: Pick<DestinationLink, "withPeer" | "openChannel"> | undefined;
  /** Whether a killed process may have left an NBD server in QEMU. */
  readonly mayHaveServer: boolean;
  /** Writes that QEMU's NBD server is vmferry's from now on. */
  noteServer(): Promise<void>;
  warn(code: WarningCode, message: string): void;
  fault(error: unknown): void;
}

/** The longest comparison in the pause, ms, whatever the downtime may be. */
const MOST_PAUSE_MS = 1_000;
/** How long the verdict may take in all, ms: a suspect is always compared, and sent again. */
const VERDICT_MS = 30_000;
/** How long the source may take to hash a page of a disk, ms. */
const PAGE_MS = 180_000;

/** `--verify`: proves that the destination's disks hold what the source's hold. */
export class Verification {
  readonly #context: VerifyContext;
  readonly #mirrors: readonly Mirror[];
  readonly #proofs: readonly DiskProof[];
  readonly #writers = new Map<string, Promise<NbdClient>>();
  #exports: OwnExports | undefined;
  #disks: PausedDisk[] = [];
  #rounds: Rounds | undefined;
  #found: readonly Found[] = [];
  #ms = 0;

  /** Compares nothing yet, but its watches may hear of writes from now on. */
  constructor(context: VerifyContext, mirrors: readonly Mirror[]) {
    this.#context = context;
    this.#mirrors = mirrors;
    const pages = new PageHashes();
    this.#proofs = mirrors.map((mirror) => new DiskProof(mirror, pages));
  }

  /** What has to hear of the writes to a disk. */
  watch(disk: string): WriteWatch | undefined {
    return this.#proofs.find(({ name }) => name === disk);
  }

  /** Bytes of a disk that are proved. */
  verified(disk: string): number {
    const proof = this.#proofs.find(({ name }) => name === disk);
    return proof ? Math.min(proof.proved * BLOCK_BYTES, proof.sizeBytes) : 0;
  }

  /**
   * Compares all disks, whose mirrors are ready, until only few blocks are open. Goes on in the background
   * after that, until {@link verdict}.
   *
   * @throws {MigrationError} code `verify-failed`, when a side cannot be read.
   * @throws the signal's reason, and when the destination is lost.
   */
  async compare(signal: AbortSignal): Promise<void> {
    const { clock, fault } = this.#context;
    const begin = clock.now();
    await this.#open();
    this.#rounds = new Rounds({ disks: this.#disks, pauseMs: this.#pauseMs, clock });
    await this.#rounds.untilFew(signal);
    this.#ms += clock.now() - begin;
    this.#rounds.begin(signal, (error) => fault.call(this.#context, error));
  }

  /**
   * The guest is paused and its mirrors have ended: compares the rest, and removes from QEMU what the comparison
   * has made there.
   *
   * @throws {MigrationError} code `disk-differs` or `verify-failed`; the signal's reason.
   */
  async verdict(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const begin = clock.now();
    await this.#rounds!.stop();
    const deciding = verdict({ disks: this.#disks, pauseMs: this.#pauseMs, clock, signal });
    this.#found = await withDeadline(clock, VERDICT_MS, "the comparison of the disks", deciding);
    for (const found of this.#found) this.#warn(found);
    // QEMU must not give the disks away while somebody reads them.
    await this.#exports!.stop();
    const ms = clock.now() - begin;
    this.#ms += ms;
    this.#context.log.log("debug", `verify: ${ms.toFixed(1)} ms in the pause`);
  }

  /** What was compared, disk by disk, after {@link verdict}. */
  results(): Promise<VerifiedDisk[]> {
    return Promise.all(this.#found.map(async ({ proof, differed }) => ({
      disk: proof.name,
      blocks: proof.blocks,
      bytes: proof.comparedBytes,
      seconds: Math.round(this.#ms) / 1000,
      rootHash: await proof.rootHash(),
      unproved: proof.open,
      differed: differed.length,
    })));
  }

  get #pauseMs(): number {
    return Math.min(this.#context.options.limits.maxDowntimeMs, MOST_PAUSE_MS);
  }

  async #open(): Promise<void> {
    const { options, qmp, clock, log, undo, mayHaveServer } = this.#context;
    undo.add(
      "the exports of the comparison",
      async () => await this.#exports?.[Symbol.asyncDispose](),
    );
    await this.#context.noteServer();
    const access = { ...options.host, qmp, clock, log, socketPath: options.compareSocket };
    try {
      this.#exports = await OwnExports.start(access, this.#mirrors, mayHaveServer);
    } catch (error) {
      throw failed("source", `QEMU does not export its disks: ${messageOf(error)}`, error);
    }
    this.#disks = this.#mirrors.map((mirror, i) => this.#diskOf(mirror, this.#proofs[i]!));
  }

  #diskOf(mirror: Mirror, proof: DiskProof): PausedDisk {
    const { name: disk } = mirror;
    const here = async (range: Range, signal: AbortSignal) => {
      try {
        const hashing = this.#exports!.hash(disk, range, signal);
        return await withDeadline(this.#context.clock, PAGE_MS, "a page", hashing);
      } catch (error) {
        signal.throwIfAborted();
        throw failed("source", `disk ${disk} cannot be read: ${messageOf(error)}`, error);
      }
    };
    const there = async (range: Range, signal: AbortSignal) => {
      const ask = { disk, ...range };
      try {
        const answer = await this.#context.destination!.withPeer(
          (peer) => peer.hashBlocks(ask),
          signal,
        );
        return BlockHashes.decode(answer, Math.ceil(range.length / BLOCK_BYTES));
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        throw failed("destination", `disk ${disk} cannot be read: ${error.message}`, error);
      }
    };
    return {
      proof,
      ends: { here, there },
      repair: (ranges, signal) => this.#repair(mirror, ranges, signal),
    };
  }

  async #repair(mirror: Mirror, ranges: readonly Range[], signal: AbortSignal): Promise<void> {
    const writer = await this.#writer(mirror, signal);
    for (const range of ranges) {
      signal.throwIfAborted();
      await writer.write(range.offset, await this.#exports!.read(mirror.name, range, signal));
    }
    if (writer.can.flush) await writer.flush();
  }

  /**
   * A connection to the destination's export. It ends with the session: QEMU 7.2 of Debian fails an assertion
   * when a client leaves an export earlier whose disk has an iothread.
   */
  #writer({ name, exportName }: Mirror, signal: AbortSignal): Promise<NbdClient> {
    let writer = this.#writers.get(name);
    if (!writer) {
      const open = async () => {
        const stream = await this.#context.destination!.openChannel("nbd", signal);
        return await NbdClient.open(stream, exportName, { clock: this.#context.clock });
      };
      writer = open();
      this.#writers.set(name, writer);
    }
    return writer;
  }

  #warn({ proof, differed }: Found): void {
    const { warn } = this.#context;
    const say = (code: WarningCode, message: string) => warn.call(this.#context, code, message);
    if (differed.length > 0) {
      say(
        "block-differed",
        `Disk ${proof.name} of the destination differed from the source's ${wordsOn(differed)}. ` +
          "vmferry has sent it again, and it is the same now. Check the destination's storage",
      );
    }
    if (proof.open > 0) {
      say(
        "not-proved",
        `${proof.open} of ${proof.blocks} blocks of disk ${proof.name} were not compared after ` +
          "their last write: the guest writes faster than both ends compare. Allow more " +
          "downtime (--max-downtime)",
      );
    }
  }
}

function failed(side: Side, message: string, cause: unknown): MigrationError {
  return new MigrationError("failed", "verify-failed", side, message, { cause });
}
