import type { Clock, Logger } from "../../io/mod.ts";
import {
  type Introduction,
  type Inventory,
  openChannel,
  type Params,
  type Result,
  RpcError,
  RpcPeer,
  type Where,
} from "../../rpc/mod.ts";
import type { Session, TunnelStream } from "../../tunnel/mod.ts";
import { NO_DELTA_THERE } from "../delta/mod.ts";
import { readInventory } from "../machine/describe.ts";
import { NO_MULTIFD_THERE } from "../multifd.ts";
import { NO_POSTCOPY_THERE } from "../postcopy/mod.ts";
import { patience } from "../timeouts.ts";
import { NO_VERIFY_THERE } from "../verify/reasons.ts";

/** How long the destination may take to prepare, ms, while the connection is there. */
const PREPARE_MS = 120_000;
/** How long `load` may take without a byte that crosses, ms: the guest is paused meanwhile. */
const LOAD_MS = 180_000;
/** How long the destination's QEMU may take to notice that its connection was lost, ms. */
const RECOVER_MS = 60_000;
/** How long one answer to `finish`, `status` or `attach` may take before it is asked again, ms. */
const ANSWER_MS = 30_000;
/** How long the destination may take to look at its storage, ms. */
const LOOK_MS = 30_000;
/** How long the destination may take to hash a range of a disk, ms. */
const HASH_MS = 180_000;
/** How long `abort` may take, ms: the destination's disks may be slow. */
export const ABORT_MS = 40_000;
/** How long a session may take to end cleanly, ms. */
const CLOSE_MS = 10_000;

/**
 * The destination as the source sees it: one session and the calls in it. Owns the session. Each call
 * throws an `RpcError` when the destination refuses, a `DeadlineError` when it does not answer in
 * time, the session's error when that ends first, the signal's reason when aborted.
 */
export class DestinationPeer {
  /** The session of the calls. */
  readonly session: Session;
  /** Makes the calls; also for those that build the destination. */
  readonly rpc: RpcPeer;
  #qemuVersion: string | null = null;

  /**
   * Serves no calls of its own.
   *
   * @param session owned by this peer from now on. */
  constructor(session: Session, options: { readonly clock: Clock; readonly log: Logger }) {
    this.session = session;
    this.rpc = new RpcPeer(session.rpc, {
      ...options,
      handlers: {},
      onFault: (error) => session.abort(error.message, "protocol-error"),
    });
  }

  /** The version of the destination's QEMU; `null` before an answer with it. */
  get qemuVersion(): string | null {
    return this.#qemuVersion;
  }

  /**
   * Announces the guest and its disks; the destination compares, exports its disks and answers with the
   * exports.
   */
  async prepare(params: Params<"prepare">, signal: AbortSignal): Promise<Result<"prepare">> {
    const result = await this.rpc.call("prepare", params, {
      ...this.#patience(PREPARE_MS),
      signal,
    });
    this.#qemuVersion = result.qemuVersion;
    return result;
  }

  /**
   * Resolves when the destination's owner is done with what comes before `step`: it starts QEMU, or runs a
   * hook. That takes as long as the owner allows.
   */
  async untilReady(step: Params<"ready">["step"], signal: AbortSignal): Promise<void> {
    const patient = this.#patience(ANSWER_MS);
    try {
      let ready = false;
      while (!ready) ({ ready } = await this.rpc.call("ready", { step }, { ...patient, signal }));
    } catch (error) {
      // An older destination, or one that builds a machine first.
      if (!(error instanceof RpcError) || error.code !== "unknown-procedure") throw error;
    }
  }

  /** Says who this end is, and asks who the destination is; an older one answers `unknown-procedure`. */
  async introduce(own: Introduction, signal: AbortSignal): Promise<Introduction> {
    return await this.rpc.call("introduce", own, { ...this.#patience(ANSWER_MS), signal });
  }

  /** The destination's machine. A vmferry before 1.1 answers `unknown-procedure`. */
  async describe(signal: AbortSignal): Promise<Inventory> {
    const patient = this.#patience(ANSWER_MS);
    const inventory = await readInventory((page) =>
      this.rpc.call("describe", { page }, { ...patient, signal })
    );
    this.#qemuVersion = inventory.machine.version;
    return inventory;
  }

  /** Names of the features of the destination's vCPUs (x86). */
  async cpuFeatures(signal: AbortSignal): Promise<readonly string[]> {
    const patient = this.#patience(ANSWER_MS);
    return (await this.rpc.call("cpuFeatures", {}, { ...patient, signal })).features;
  }

  /** The storage of the destination's disks; an older destination answers `unknown-procedure`. */
  describeDisks(
    params: Params<"describeDisks">,
    signal: AbortSignal,
  ): Promise<Result<"describeDisks">> {
    return this.rpc.call("describeDisks", params, { ...this.#patience(LOOK_MS), signal });
  }

  /**
   * Which of the source's blocks the destination's disks hold; an older destination answers `unknown-
   * procedure`.
   */
  compareBlocks(
    params: Params<"compareBlocks">,
    signal: AbortSignal,
  ): Promise<Result<"compareBlocks">> {
    return this.rpc.call("compareBlocks", params, { ...this.#patience(LOOK_MS), signal });
  }

  /** The destination's backing files; an older destination answers `unknown-procedure`. */
  describeBases(
    params: Params<"describeBases">,
    signal: AbortSignal,
  ): Promise<Result<"describeBases">> {
    return this.rpc.call("describeBases", params, { ...this.#patience(LOOK_MS), signal });
  }

  /** The hash of a range of the destination's backing files. */
  async hashBase(params: Params<"hashBase">, signal: AbortSignal): Promise<string> {
    const patient = this.#patience(HASH_MS);
    return (await this.rpc.call("hashBase", params, { ...patient, signal })).hash;
  }

  /** The hashes of the blocks of a disk at the destination, which has prepared. */
  hashBlocks(params: Params<"hashBlocks">): Promise<Result<"hashBlocks">> {
    return this.rpc.call("hashBlocks", params, this.#patience(HASH_MS));
  }

  /** Makes this session the migration's, which another session of this source has prepared. */
  attach(migration: string, signal?: AbortSignal): Promise<Result<"attach">> {
    return this.rpc.call("attach", { migration }, timed(ANSWER_MS, signal));
  }

  /** Answered when the destination's QEMU has loaded the guest. */
  load(signal: AbortSignal): Promise<Result<"load">> {
    return this.rpc.call("load", {}, { ...this.#patience(LOAD_MS), signal });
  }

  /** Hands the guest over; answered when it runs, or is there and paused (`run` false). */
  finish(run: boolean): Promise<Result<"finish">> {
    return this.rpc.call("finish", { run }, { timeoutMs: ANSWER_MS });
  }

  /**
   * Has the destination's QEMU wait for RAM again, whose connection was lost in post-copy.
   *
   * @returns whether it has all of RAM, and waits for none.
   */
  async recover(): Promise<boolean> {
    const { whole } = await this.rpc.call("recover", {}, this.#patience(RECOVER_MS));
    return whole;
  }

  /**
   * Lets the destination know that the source's QEMU has ended in post-copy.
   *
   * @returns whether the destination's QEMU has all of RAM all the same.
   */
  async ramLost(): Promise<boolean> {
    return (await this.rpc.call("ramLost", {}, { timeoutMs: ANSWER_MS })).whole;
  }

  /** The destination's state of that migration, and QEMU's run state there. */
  status(migration: string): Promise<Result<"status">> {
    return this.rpc.call("status", { migration }, { timeoutMs: ANSWER_MS });
  }

  /**
   * Has the destination undo what it prepared.
   *
   * @returns what could not be undone there, as text.
   */
  async abort(why: Params<"abort">): Promise<readonly string[]> {
    return (await this.rpc.call("abort", why, { timeoutMs: ABORT_MS })).left ?? [];
  }

  /** A stream to one of the destination's channels. */
  openChannel(channel: string, signal?: AbortSignal, where?: Where): Promise<TunnelStream> {
    return openChannel(this.session, this.rpc, channel, signal, where);
  }

  /** The deadline of a call that is not repeated: the connection may be down meanwhile. */
  #patience(ms: number): { readonly timeoutMs: number; readonly progress: () => number } {
    const { stallMs, progress } = patience(ms, () => this.session);
    return { timeoutMs: stallMs, progress };
  }

  /** Ends the session, cleanly if that is possible within `deadlineMs`. */
  async close(deadlineMs: number = CLOSE_MS): Promise<void> {
    await this.session.close(deadlineMs);
  }
}

/** Has the destination check a migration without preparing it. @returns why it refuses, a sentence each. */
export async function problemsThere(
  peer: DestinationPeer,
  announced: Omit<Params<"prepare">, "checkOnly">,
  { delta, verify, signal }: {
    readonly delta: boolean;
    readonly verify: boolean;
    readonly signal: AbortSignal;
  },
): Promise<readonly string[]> {
  try {
    const { multifd, postcopy, hashes } = await peer.prepare(
      { ...announced, checkOnly: true },
      signal,
    );
    return [
      ...delta && !hashes ? [NO_DELTA_THERE] : [],
      ...verify && !hashes ? [NO_VERIFY_THERE] : [],
      ...announced.multifd && !multifd ? [NO_MULTIFD_THERE] : [],
      ...announced.postcopy && !postcopy ? [NO_POSTCOPY_THERE] : [],
    ];
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== "refused") throw error;
    return error.problems.length > 0 ? error.problems : [error.message];
  }
}

function timed(timeoutMs: number, signal: AbortSignal | undefined) {
  return { timeoutMs, ...(signal ? { signal } : {}) };
}
