import { type Clock, type Logger, messageOf } from "../../io/mod.ts";
import type { QmpClient, QmpEvent } from "../../qmp/mod.ts";
import { type MigrationError, qemuGone } from "../errors.ts";
import type { Phase, Report } from "../events.ts";
import type { WarningCode } from "../warning_table.ts";
import { FirstCause } from "../first_cause.ts";
import { GuestPauses } from "../guest/pauses.ts";
import { carriesAsleep, versionOf } from "../guest/run_states.ts";
import { GuestWatch } from "../guest/watch.ts";
import { Driver } from "../handover/driver.ts";
import { type SOURCE_LISTS, sourceStep } from "../handover/source_step.ts";
import {
  AFTER_HANDOVER,
  BEFORE_HANDOVER,
  resumedAt,
  type SourceEvent,
  type SourceState,
} from "../handover/states.ts";
import { firstSourceRecord, type SourceRecord, type Stop } from "../journal.ts";
import type { DestinationState } from "../../rpc/mod.ts";
import { MachineGuard } from "../machine/mod.ts";
import { LadderSteps } from "../progress/ladder_steps.ts";
import type { ProgressTicker } from "../progress/ticker.ts";
import { pauseAgain } from "../postcopy/mod.ts";
import { leftHere, UndoList } from "../undo.ts";
import { Verification } from "../verify/mod.ts";
import type { Mirror } from "../disks/mirror_set.ts";
import { DestinationLink } from "./destination_link.ts";
import { DestinationPeer } from "./destination_peer.ts";
import type { SourceOptions } from "./options.ts";
import { SourceQemu } from "./qemu.ts";

/**
 * QEMU waits for the writes in flight and flushes the disk as it pauses the guest, then the mirror copies the
 * rest and flushes again. Each of these may take a round trip.
 */
const PAUSE_TRIPS = 4;

/** Carries out the lists of the source. */
export type SourceDriver = Driver<SourceState, SourceEvent, typeof SOURCE_LISTS, SourceRecord>;

/** What every phase of one migration at the source has. Owns the watches; its disposal ends them. */
export class SourceContext implements Disposable {
  readonly options: SourceOptions;
  readonly qmp: QmpClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: Report;
  /** In QEMU and on this host. */
  readonly undo: UndoList;
  /** At the destination. These steps may wait for the connection: the guest runs again before them. */
  readonly undoThere: UndoList;
  /** Why the migration fails. Every wait before the handover ends with its signal. */
  readonly cause: FirstCause;
  /** The state and the journal: carries out the order of effects of each event. */
  readonly state: SourceDriver;
  readonly qemu: SourceQemu;
  readonly pauses: GuestPauses;
  readonly ladder: LadderSteps;
  /** Both QEMUs, as far as they are known, migrate a guest in S3. */
  asleepCanGo: boolean;
  /** QEMU cannot resume the guest here, only the destination can, see `ASLEEP_STUCK`. */
  noWayBack = false;
  progress: ProgressTicker | undefined;
  #guest: GuestWatch | undefined;
  #machine: MachineGuard | undefined;
  #destination: DestinationLink | undefined;
  #qemuGone: MigrationError | undefined;
  #pausedAt: number | undefined;
  #leftBehind = false;
  #verification: Verification | undefined;
  readonly #stopEvents: () => void;

  constructor(options: SourceOptions) {
    const { qmp, clock, log } = options;
    this.options = options;
    this.qmp = qmp;
    this.clock = clock;
    this.log = log;
    this.report = options.report;
    this.asleepCanGo = carriesAsleep(versionOf(qmp));
    this.undo = new UndoList(clock, log);
    this.undoThere = new UndoList(clock, log);
    this.cause = new FirstCause(clock, () => this.#pausedAt !== undefined);
    const { resume, journal, qmpPath, destination } = options;
    this.state = new Driver({
      ...{ name: "source", initial: resume ? resumedAt(resume.state) : "prepare" },
      ...{ step: sourceStep, journal, log },
      record: resume ?? firstSourceRecord({ qmp: qmpPath, destination }),
      check: () => this.signal.throwIfAborted(),
      refuse: (event, state) => new Error(`No "${event}" in state "${state}" of the source`),
      onFault: (error) => this.fault(error),
    });
    this.qemu = new SourceQemu(this);
    this.pauses = new GuestPauses(this);
    this.ladder = new LadderSteps(this);
    qmp.closed.then((cause) => this.fault(this.#qemuGone = qemuGone("source", cause)));
    this.#stopEvents = qmp.onEvent((event) => this.#onEvent(event));
  }

  /** Aborted with the first cause of a failure. */
  get signal(): AbortSignal {
    return this.cause.signal;
  }

  /** Fails the migration with this reason, unless it has failed already. */
  fault(reason: unknown): void {
    this.cause.take(reason);
  }

  warn(code: WarningCode, message: string): void {
    this.report({ event: "warning", code, message });
  }

  phase(phase: Phase): void {
    this.report({ event: "phase", phase });
    this.progress?.phase(phase);
  }

  /** Writes what could not be undone: the next migration of this QEMU undoes it first. */
  async leave(left: readonly string[]): Promise<void> {
    const { state, log } = this;
    if (left.length === 0 || this.#qemuGone) return;
    this.#leftBehind = true;
    await state.noteWithState({ left: left.map((text) => text.slice(0, 1024)) })
      .catch((error) => log.log("warning", `the journal: ${messageOf(error)}`));
    if (state.current !== "done") return;
    const [message] = leftHere("source", left);
    this.warn("not-undone", message!);
  }

  /** Something could not be undone: the record must stay. */
  get leftBehind(): boolean {
    return this.#leftBehind;
  }

  /** What was written last, or is being written. */
  get record(): SourceRecord {
    return this.state.record!;
  }

  /** RAM crosses: a mirror's target that is cut off now cannot be connected again. */
  get ramCrosses(): boolean {
    return this.state.current === "ram";
  }

  /** Why our QEMU has ended, once it has. */
  get qemuGone(): MigrationError | undefined {
    return this.#qemuGone;
  }

  /** When the guest was paused last, ms of the clock; `undefined` while it runs. */
  get pausedAt(): number | undefined {
    return this.#pausedAt;
  }

  /** `undefined` until a phase watches the guest. */
  get guest(): GuestWatch | undefined {
    return this.#guest;
  }

  /** @param shouldRun whether the guest is to run after the migration, as far as is known. */
  watchGuest(shouldRun: boolean): GuestWatch {
    return this.#guest = new GuestWatch(shouldRun, this);
  }

  get isHandedOver(): boolean {
    return AFTER_HANDOVER.includes(this.state.current);
  }

  /** See {@link GuestWatch.shouldRun}. */
  shouldRunChanged(wasRunning: boolean): void {
    // From the handover on the record is settled: the destination may run the guest by it.
    if (!BEFORE_HANDOVER.includes(this.state.current)) return;
    this.state.note({ wasRunning }).catch((error) => this.fault(error));
  }

  /** Longest brief pause of the guest, ms. */
  get maxPauseMs(): number {
    return this.options.limits.maxDowntimeMs + PAUSE_TRIPS * this.rttMs;
  }

  /** Writes that vmferry pauses the guest, or resumes it. */
  async writePause(stopped: Stop): Promise<void> {
    await this.state.note({ stopped });
  }

  /** Begins to watch the source's machine. Throws as {@link MachineGuard.begin} does. */
  async guardMachine(): Promise<MachineGuard> {
    return this.#machine = await MachineGuard.begin(this, this.options.allow);
  }

  /** The guard that {@link guardMachine} has made. */
  get machine(): MachineGuard {
    return this.#machine!;
  }

  /** `undefined` without `--verify`, and until the mirrors are known. */
  get verification(): Verification | undefined {
    return this.#verification;
  }

  /** With `--verify`: begins to watch the writes of these mirrors. Call it before they are served. */
  verify(mirrors: readonly Mirror[]): void {
    if (this.options.verify) this.#verification = new Verification(this, mirrors);
  }

  /** A killed process may have left an NBD server in QEMU. */
  get mayHaveServer(): boolean {
    return this.options.resume?.verifies ?? false;
  }

  /** Writes that QEMU's NBD server is vmferry's from now on. */
  async noteServer(): Promise<void> {
    await this.state.note({ verifies: true });
  }

  #onEvent({ event, data }: QmpEvent): void {
    // QEMU drains all disks when its migration has failed, before it answers any command.
    if (event === "MIGRATION" && data.status === "failed") this.qemu.cutTargets();
    if (event === "STOP") this.#pausedAt ??= this.clock.now();
    if (event === "STOP" || event === "RESUME") this.qemu.gate.guestStopped(event === "STOP");
    if (event !== "RESUME") return;
    if (this.isHandedOver) return pauseAgain(this);
    // Somebody may have resumed the guest: the pause before that is not ours.
    this.#pausedAt = undefined;
  }

  /** `undefined` until a phase has connected it. */
  get destination(): DestinationLink | undefined {
    return this.#destination;
  }

  /** Makes a session. Rejects as `SourceOptions.connect` does. */
  async connect(signal: AbortSignal): Promise<DestinationPeer> {
    return new DestinationPeer(await this.options.connect(signal), this.options);
  }

  /** Makes the peer's end a failure of the migration. `undefined`: another process had the peer. */
  linkTo(peer: DestinationPeer | undefined): DestinationLink {
    if (peer) this.adopt(peer);
    return this.#destination = new DestinationLink(peer, this);
  }

  /** A destination whose tool was started again may resume the migration. */
  get mayReconnect(): boolean {
    const { current } = this.state;
    return current === "postcopy" || current === "mirror" && !this.signal.aborted;
  }

  get statesThere(): readonly DestinationState[] {
    return this.state.current === "postcopy" ? ["postcopy", "finished"] : ["prepared"];
  }

  /** The guest is the source's again: it has not run at the destination and never will. */
  get isUndone(): boolean {
    return this.state.current === "undone";
  }

  get migration(): string {
    return this.record.migration;
  }

  get graceMs(): number {
    return this.options.graceMs;
  }

  /** Uses the peer's session from now on. */
  adopt({ session }: DestinationPeer): void {
    this.options.limits.holdSession(session);
    // The session before may have ended while its connection was down.
    this.qemu.connectionChanged("up");
    session.onLink(({ state }) => this.qemu.connectionChanged(state));
  }

  /** Bytes that crossed the tunnel, both directions. */
  get bytes(): number {
    return this.#destination?.bytes ?? 0;
  }

  /** As `bytes`, but as many as there would be without compression. */
  get carried(): number {
    return this.#destination?.carried ?? 0;
  }

  /** Shortest round trip to the destination so far, ms. */
  get rttMs(): number {
    return this.#destination?.peer?.session.rttMs ?? 0;
  }

  [Symbol.dispose](): void {
    this.#stopEvents();
    this.#guest?.[Symbol.dispose]();
    this.#machine?.[Symbol.dispose]();
    this.progress?.stop();
  }
}
