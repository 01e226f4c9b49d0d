import { type ChannelServer, type Params, type Result, RpcError } from "../../rpc/mod.ts";
import type { Session } from "../../tunnel/mod.ts";
import { hashBlocks } from "../../delta/mod.ts";
import { nameExports } from "../disks/nbd_exports.ts";
import type { DiskPair } from "../disks/plan.ts";
import { lookAtImages, type TargetImage } from "../disks/target_images.ts";
import { asMigrationError, refusal } from "../errors.ts";
import { lookAt } from "../guest/inspect.ts";
import { versionOf } from "../guest/run_states.ts";
import type { DestinationRecord } from "../journal.ts";
import type { AgreedRam } from "../multifd.ts";
import { type AgreedPostcopy, hasPreempt } from "../postcopy/mod.ts";
import { qemuProcess } from "../qemu_process.ts";
import type { DestinationStorage } from "../storage/destination_storage.ts";
import type { DestinationContext } from "./context.ts";
import type { GivingUp } from "./failure.ts";
import type { Loading } from "./load.ts";

type Exports = DestinationRecord["exports"];

/** The first phase: compares the announced guest with this QEMU and exports the disks. */
export class Preparation {
  readonly #context: DestinationContext;
  readonly #givingUp: GivingUp;
  readonly #loading: Loading;
  #images: TargetImage[] | null = null;
  #warnings: readonly string[] = [];

  constructor(context: DestinationContext, givingUp: GivingUp, loading: Loading) {
    this.#context = context;
    this.#givingUp = givingUp;
    this.#loading = loading;
  }

  /**
   * What looks at storage, while no migration uses it.
   *
   * @throws {RpcError} when a migration is under way, or was cancelled.
   */
  get idleStorage(): DestinationStorage {
    this.#assertIdle();
    return this.#context.storage;
  }

  /**
   * Answers `prepare`: makes the migration this session's, and exports the disks.
   *
   * @throws {RpcError} `refused`, with all problems of this guest with this QEMU.
   */
  async prepare(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepare">,
  ): Promise<Result<"prepare">> {
    const context = this.#context;
    this.#assertIdle();
    if (params.checkOnly) {
      const { problems, warnings, multifd } = await lookAt(
        context.qmp,
        params,
        context.options.disks,
      );
      if (problems.length > 0) throw new RpcError("refused", problems.join("; "), problems);
      const answer = this.#answer([], null);
      return { ...answer, warnings: [...warnings], multifd, postcopy: this.#postcopy(params) };
    }
    // Before the first wait: of two sources that come at once, the second is refused.
    context.claim(session, params.migration);
    const making = this.#make(session, channels, params);
    context.making = making.then(() => {}, () => {});
    return this.#answer(await making, this.#images);
  }

  /** The answer for a source whose process was killed before it heard the first one. */
  async prepared(): Promise<Result<"prepare">> {
    await this.#context.making;
    return this.#answer(this.#context.record?.exports ?? [], this.#images);
  }

  /** Answers `hashBlocks`: what a disk holds now, whatever the mirror writes to it meanwhile. */
  async hashBlocks({ disk, ...range }: Params<"hashBlocks">): Promise<Result<"hashBlocks">> {
    const made = this.#context.record?.exports.find((each) => each.disk === disk);
    if (!made) throw new RpcError("refused", `disk ${disk} is not exported`);
    const { readers } = this.#context.incoming;
    const hashes = await readers.use(made.exportName, (reader) => hashBlocks(reader, range));
    return hashes.encode();
  }

  /** Offers the disks and the RAM to this source; an earlier one no longer gets connections. */
  serveOn(channels: ChannelServer): void {
    const { incoming, record } = this.#context;
    const { multifd = null, postcopy = null } = record ?? {};
    incoming.serveOn(channels, { multifd, postcopy }, () => this.#loading.begin());
  }

  #assertIdle(): void {
    const { owner, failure, state } = this.#context;
    // Cancelled while the source compared the machines: the reason is that, and no other migration.
    if (!owner && failure) throw new RpcError(failure.code, failure.message);
    if (owner || state !== "waiting") {
      throw new RpcError("refused", "Another migration is under way here");
    }
  }

  #answer(exports: Exports, images: TargetImage[] | null): Result<"prepare"> {
    const { qmp, record, options: { recoverCommand: recover } } = this.#context;
    const multifd = record?.multifd ?? null;
    return {
      qemuVersion: versionOf(qmp),
      exports,
      warnings: [...this.#warnings],
      images,
      recover,
      multifd,
      postcopy: record?.postcopy ?? null,
      hashes: true,
    };
  }

  #postcopy({ postcopy }: Params<"prepare">): AgreedPostcopy | null {
    return postcopy && { preempt: postcopy.preempt && hasPreempt(this.#context.qmp) };
  }

  async #make(
    session: Session,
    channels: ChannelServer,
    params: Params<"prepare">,
  ): Promise<Exports> {
    const { qmp, storage, options, report } = this.#context;
    try {
      await options.claimed?.(session);
      // A comparison uses QEMU's only NBD server.
      await storage.idle;
      const { guest, pairs, problems, warnings, multifd } = await lookAt(
        qmp,
        params,
        options.disks,
      );
      if (problems.length > 0) throw refusal("refused", "destination", problems);
      this.#warnings = warnings;
      report({ event: "host", side: "destination", qemuVersion: versionOf(qmp) });
      report({ event: "phase", phase: "prepare" });
      const exports = await this.#export(guest, pairs, {
        multifd,
        postcopy: this.#postcopy(params),
      });
      this.serveOn(channels);
      report({ event: "phase", phase: "mirror" });
      return exports;
    } catch (error) {
      throw this.#givingUp.answered(asMigrationError(error, "destination"));
    }
  }

  async #export(
    guest: string,
    pairs: readonly DiskPair[],
    ram: AgreedRam,
  ): Promise<Exports> {
    const { qmp, incoming, log } = this.#context;
    // Pauses nothing in this state, but clears QEMU's wish to run the guest by itself when the last byte
    // has come. Only `finish` may run it.
    await qmp.execute("stop", {});
    const exports = nameExports(pairs);
    const settings = await incoming.plan(ram);
    const qemu = await qemuProcess(qmp);
    // Before anything is changed in QEMU: a process that resumes or recovers undoes by this record.
    await this.#context.driver.note({
      guest,
      exports,
      settings: settings.before,
      qemu,
      ...ram,
    });
    await incoming.make(settings, pairs, exports);
    this.#images = await lookAtImages(qmp, pairs, log);
    await this.#context.driver.take("exported", {});
    return exports;
  }
}
