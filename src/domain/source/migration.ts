import { type Acceptor, messageOf, withDeadline } from "../../io/mod.ts";
import { type ProgramResult } from "../../host/mod.ts";
import { domainState, Virsh } from "../../libvirt/mod.ts";
import type { DeltaFilter, MigrationError, WarningCode } from "../../migrate/mod.ts";
import { type Arrival, downtime, lookAtArrival } from "./arrival.ts";
import { FirstCause } from "./cause.ts";
import { migrateCommand } from "./run/command.ts";
import { deltaFilter } from "./delta_filter.ts";
import type { DomainPeer } from "./destination_peer.ts";
import { settleEarlier } from "./settle/earlier.ts";
import { asDomainError } from "./failure.ts";
import { fenced } from "./run/fenced.ts";
import { EarlyLook } from "./look_early.ts";
import { outcomeError } from "./settle/outcome.ts";
import type { DomainMigrated, DomainMigrationOptions } from "./options.ts";
import { type Checked, checkFirst } from "./prepare.ts";
import { PreparedDestination } from "./prepared_destination.ts";
import type { DomainSourceRecord } from "./record.ts";
import { Sessions } from "./sessions.ts";
import { settle, type Settled } from "./settle/settle.ts";
import { chooseSocketDir } from "./socket_dir.ts";
import { Sockets } from "./sockets.ts";
import { SourceRelay } from "./run/source_relay.ts";
import { Transfer } from "./transfer.ts";
import { VirshRun } from "./run/virsh_run.ts";
import { QUERY_MS } from "./waits.ts";

/**
 * The source of a migration that libvirt drives: vmferry checks and prepares both hosts, runs `virsh
 * migrate` with sockets that lead into the tunnel, watches it, and finds out who has the guest when virsh
 * does not say so. The rule that keeps the guest from running twice is that of {@link VirshRun}.
 */
export class DomainMigration {
  readonly #options: DomainMigrationOptions;
  readonly #source: Virsh;
  readonly #sessions: Sessions;
  readonly #sockets: Sockets;
  readonly #there: PreparedDestination;
  readonly #cause: FirstCause;
  /** Undone in reverse order, whatever the end is. */
  readonly #cleanups: (() => Promise<unknown>)[] = [];
  #record: DomainSourceRecord | undefined;
  #transfer: Transfer | undefined;
  #pauseAsked: string | undefined;
  #leftBehind = false;
  #early: EarlyLook | undefined;
  #filter: DeltaFilter | undefined;
  #settled: readonly DomainSourceRecord[] = [];
  #unsettled: DomainSourceRecord | undefined;

  /** Begins nothing yet. */
  constructor(options: DomainMigrationOptions) {
    const { host, uri, connect, clock, log } = options;
    this.#options = options;
    this.#source = new Virsh({ run: host.run, uri });
    this.#sessions = new Sessions(connect, { clock, log });
    this.#there = new PreparedDestination(this.#sessions, options);
    this.#cause = new FirstCause(options);
    this.#sockets = new Sockets({
      ...{ listen: host.listen, log, onFault: (error) => this.#cause.take(error) },
      open: (channel, signal) => this.#peer.openChannel(channel, signal),
    });
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#sessions.bytes;
  }

  /** What was written last, by this run or the earlier one that it could not settle. */
  get record(): DomainSourceRecord | undefined {
    return this.#record ?? this.#unsettled;
  }

  /** The domain, once libvirt has named it. */
  get found(): { readonly name: string; readonly uuid: string } | undefined {
    return this.#early?.found;
  }

  /** It is not known where the guest is: the record must stay. */
  get leftBehind(): boolean {
    return this.#leftBehind;
  }

  /** Records of earlier runs that this one has settled. */
  get settled(): readonly DomainSourceRecord[] {
    return this.#settled;
  }

  /** Pauses the guest as soon as only what it changes is left to copy. */
  suspend(why: string): void {
    this.#pauseAsked ??= why;
    this.#transfer?.suspend(why);
  }

  /**
   * Carries the domain over, once.
   *
   * @throws {MigrationError} its kind says where the guest is.
   */
  async run(): Promise<DomainMigrated> {
    const { report, signal } = this.#options;
    try {
      report({ event: "phase", phase: "prepare" });
      // While the session is made.
      const early = this.#early = new EarlyLook(this.#options);
      this.#cleanups.push(() => early.ended);
      const peer = await this.#sessions.open(signal);
      this.#options.limits.holdSession(peer.session);
      // Answered while this host is asked; the check reports what is wrong.
      peer.describeDomainHost(signal).catch(() => {});
      const { virsh: known } = early;
      const earlier = await this.#settleEarlier(known);
      if (earlier?.arrived) return earlier.arrived;
      // A settlement has changed the answers.
      const source = earlier ? this.#source : known;
      const checked = await checkFirst(this.#options, source, this.#sessions, this.#sockets);
      return await this.#migrate(peer, checked);
    } catch (error) {
      const failure = asDomainError(error, "source");
      await this.#there.giveUp(failure);
      throw failure;
    } finally {
      for (const cleanup of this.#cleanups.reverse()) {
        await cleanup().catch((error) => this.#options.log.log("warning", messageOf(error)));
      }
      await this.#sockets.close();
      await this.#sessions.close();
    }
  }

  get #peer(): DomainPeer {
    return this.#sessions.peer!;
  }

  async #note(change: Partial<DomainSourceRecord>): Promise<void> {
    this.#record = { ...this.#record!, ...change };
    await this.#options.host.journal.write(this.#record);
  }

  /** The directory with the journal is removed next: one that cannot be written changes nothing. */
  async #noteSettled(): Promise<void> {
    if (!this.#record) return;
    await this.#note({ state: "settled" })
      .catch((error) => this.#options.log.log("warning", `the journal: ${messageOf(error)}`));
  }

  /** @returns `undefined` where there was no earlier one; the result, if it had succeeded. */
  async #settleEarlier(
    known: Virsh,
  ): Promise<{ readonly arrived: DomainMigrated | undefined } | undefined> {
    const virsh = { source: this.#source, known };
    const earlier = await settleEarlier(this.#options, virsh, this.#sessions);
    if (!earlier) return undefined;
    const { settled, records, uuid } = earlier;
    if (settled.outcome !== "unknown") this.#settled = records;
    // A guest that has ended is the check's to report.
    if (settled.outcome === "stays" || settled.outcome === "ended") return { arrived: undefined };
    if (settled.outcome === "migrated") {
      const downtimeMs = await downtime(this.#source, uuid);
      return { arrived: await this.#arrived({ ...settled, downtimeMs }, settled.left) };
    }
    this.#unsettled = records.at(-1);
    throw this.#notHere(settled);
  }

  async #migrate(peer: DomainPeer, { plan, destination }: Checked): Promise<DomainMigrated> {
    const { host, uri, clock, log, migrate, signal, limits, report } = this.#options;
    const { uuid, name } = plan.domain;
    const id = crypto.randomUUID();
    report({ event: "migration", migration: id });
    const socketDir = chooseSocketDir(host.socketDirs, plan.host.socketDirs, id.slice(0, 8));
    const { uri: uriThere, hostUuid } = plan.host;
    const [{ destination: given }, { undefineSource }] = [this.#options, migrate];
    await this.#note({
      ...{ version: 1, side: "source", state: "prepared", migration: id, destination: given },
      ...{ name, uuid, uri, uriThere, hostUuid, socketDir, undefineSource, wasPaused: false },
    });
    this.#cleanups.push(() => host.removeDirectory(socketDir), () => this.#sockets.close());
    await host.makeDirectory(socketDir);
    const filter = this.#filter = this.#options.delta ? deltaFilter(peer, log) : undefined;
    await this.#sockets.serve(`${socketDir}/ram.sock`, "ram");
    await this.#sockets.serve(`${socketDir}/nbd.sock`, "nbd", filter ? { join: filter.join } : {});
    const paths = {
      ...{ source: host.own("source.sock"), destination: host.own("migrate.sock") },
      qemuDir: socketDir,
    };
    const relay = new SourceRelay(await host.listen(paths.source), {
      ...{ connect: host.connectLibvirt, log },
      onFault: (error: unknown) => this.#cause.take(error),
    });
    this.#cleanups.push(() => relay.close());
    const run = new VirshRun({
      relay,
      clock,
      onCut: (reason) => log.log("debug", messageOf(reason)),
      onFinish: () => this.#transfer?.finishing(),
    });
    this.#cleanups.push(() => run.close());
    // Before anything else that the session's end ends.
    peer.session.ended.then((cause) => {
      run.cut(cause ?? new Error("The destination ended the session"));
      if (cause) this.#cause.take(cause);
    });
    const wrap = (acceptor: Acceptor) => fenced(acceptor, run);
    await this.#sockets.serve(paths.destination, "libvirt", { wrap });
    const images = [...plan.images];
    const named = { migration: id, name: plan.nameThere, uuid };
    // As late as possible, and meanwhile; it counts with state `migrating`.
    const state = domainState(this.#source, uuid, { signal });
    state.catch(() => {});
    await this.#there.prepare({ ...named, socketDir, images, owner: plan.owner }, signal);
    const wasPaused = await state.then(({ state }) => state === "paused", async (error) => {
      await this.#there.settle("failed");
      throw error;
    });
    const transfer = this.#transfer = new Transfer(run, {
      ...{ virsh: this.#source, uuid, wasPaused, limits, report, clock, log, signal },
      disks: plan.copied.map((target) => ({
        name: target,
        sizeBytes: plan.images.find((image) => image.name === target)?.sizeBytes ?? 0,
      })),
      bytes: () => this.bytes,
      carried: () => this.#sessions.carried,
    });
    if (this.#pauseAsked !== undefined) transfer.suspend(this.#pauseAsked);
    signal.throwIfAborted();
    await this.#note({ state: "migrating", wasPaused });
    const result = await transfer.run(host.start, migrateCommand(plan, migrate, uri, paths));
    return await this.#conclude(result, run, transfer, destination);
  }

  /** Ends what virsh has left open, and reports it. */
  async #conclude(
    result: ProgramResult,
    run: VirshRun,
    transfer: Transfer,
    destination: Virsh,
  ): Promise<DomainMigrated> {
    const { clock, log, signal } = this.#options;
    const { uuid, wasPaused, undefineSource, name } = this.#record!;
    if (result.code === 0 && !run.cutReason) {
      if (signal.aborted) {
        this.#warn("too-late", "The migration was over before it could be cancelled");
      }
      const [arrival] = await Promise.all([
        lookAtArrival(this.#source, destination, uuid),
        this.#there.settle("migrated"),
      ]);
      // The session may have ended since: the destination hears of it in a new one.
      if (arrival.guest !== null) return await this.#arrived(arrival, []);
      const there = await withDeadline(clock, QUERY_MS, "the destination", this.#sessions.ask(uuid))
        .catch((error) => log.log("debug", messageOf(error)));
      return await this.#arrived({ ...arrival, guest: there?.state ?? null }, []);
    }
    const { session } = this.#peer;
    const cause = await this.#cause.of(name, result, run.cutReason, session);
    const settled = await settle({
      ...{ source: this.#source, uuid, wasPaused, undefineSource, clock, log },
      ask: () => this.#sessions.ask(uuid),
      isTheOne: () => this.#sessions.hostUuid === this.#record!.hostUuid,
    });
    if (settled.outcome === "migrated") {
      const { downtimeMs } = await lookAtArrival(this.#source, destination, uuid);
      return await this.#arrived({ ...settled, downtimeMs }, settled.left);
    }
    await transfer.restoreLimits();
    if (settled.outcome !== "unknown") {
      await this.#there.settle("failed");
      await this.#noteSettled();
    }
    throw this.#notHere(settled, cause);
  }

  #notHere(settled: Exclude<Settled, { outcome: "migrated" }>, cause?: MigrationError) {
    if (settled.outcome === "unknown") this.#leftBehind = true;
    return outcomeError(settled, cause, this.record?.name ?? this.#options.name, this.#source.uri);
  }

  async #arrived({ guest, downtimeMs }: Arrival, left: readonly string[]): Promise<DomainMigrated> {
    await this.#there.settle("migrated");
    await this.#noteSettled();
    if (left.length > 0) {
      this.#warn(
        "not-undone",
        `The domain runs at the destination, and its paused one here could not be removed. Run: ${
          left.join("; ")
        }`,
      );
    }
    this.#options.report({ event: "phase", phase: "done" });
    const { skippedSum: skipped } = this.#filter ?? {};
    const { carried } = this.#sessions;
    return { downtimeMs, guest, bytes: this.bytes, carried, ...(skipped ? { skipped } : {}) };
  }

  #warn(code: WarningCode, message: string): void {
    this.#options.report({ event: "warning", code, message });
  }
}
