import { type Clock, withDeadline } from "../../../io/mod.ts";
import type { ProgramResult, RunningProgram, StartProgram } from "../../../host/mod.ts";
import type { Fence } from "./fenced.ts";
import type { SourceRelay } from "./source_relay.ts";

/** How long virsh may take to end once it is through with the destination, ms. */
const GOODBYE_MS = 15_000;
/** How long the system may take to end a killed virsh, ms. */
const KILLED_MS = 10_000;

/**
 * The one `virsh migrate` of a migration, and the rule by which it ends.
 *
 * virsh is libvirt's client of both hosts, and carries out the last two steps (libvirt's migration
 * protocol, version 3): `Finish` asks the destination to run the guest, `Confirm` tells the source
 * whether it does. When no answer to Finish comes, because the connection was lost, virsh confirms
 * "cancelled", and the source resumes its guest. But the destination may have received Finish and run
 * the guest too: it would run twice.
 *
 * So: **once virsh could notice that its connection to the destination ends, nothing that it sends may
 * reach the source's libvirt.** {@link cut} freezes the relay to the source's libvirt and kills virsh
 * (SIGKILL), in one turn of the event loop. Whatever ends a connection calls it first (`fenced`); the
 * session's end and a failed migration do so too. If vmferry itself is killed, the relay ends with it.
 *
 * libvirt then decides by what it knows: before the end of Perform it cancels the migration and the guest
 * runs on; later it leaves the guest paused, and {@link settle} asks the destination.
 */
export class VirshRun implements Fence {
  readonly #relay: Pick<SourceRelay, "freeze">;
  readonly #clock: Clock;
  readonly #onCut: (reason: Error) => void;
  readonly #onFinish: () => void;
  #program: RunningProgram | undefined;
  #result: ProgramResult | undefined;
  #reason: Error | undefined;
  #stopTimer: () => void = () => {};

  /**
   * @param options `onCut`: called once, after both have been done. `onFinish`: virsh asks the destination to
   * run the guest.
   */
  constructor(
    options: {
      readonly relay: Pick<SourceRelay, "freeze">;
      readonly clock: Clock;
      readonly onCut: (reason: Error) => void;
      readonly onFinish?: () => void;
    },
  ) {
    this.#relay = options.relay;
    this.#clock = options.clock;
    this.#onCut = options.onCut;
    this.#onFinish = options.onFinish ?? (() => {});
  }

  /** Why it was cut; `undefined` where virsh ended by itself, or runs. */
  get cutReason(): Error | undefined {
    return this.#reason;
  }

  /** Whether virsh runs. */
  get runs(): boolean {
    return this.#program !== undefined && this.#result === undefined;
  }

  /**
   * Starts virsh, once, and waits for its end.
   *
   * @throws the reason when it was cut before it could start.
   */
  async run(start: StartProgram, argv: readonly string[]): Promise<ProgramResult> {
    if (this.#reason) throw this.#reason;
    this.#program = start(argv);
    this.#result = await this.#program.ended;
    this.#stopTimer();
    return this.#result;
  }

  /** Separates virsh from the source's libvirt and kills it. Safe to call twice. */
  cut(reason: Error): void {
    if (this.#reason || this.#result) return;
    this.#reason = reason;
    // This order: from here on virsh may notice whatever it likes.
    this.#relay.freeze();
    this.#program?.kill();
    this.#onCut(reason);
  }

  /**
   * virsh is through with the destination: Confirm is answered, if one was due. It may still speak to the
   * source, for its last messages.
   */
  goodbye(): void {
    if (!this.runs) return;
    this.#stopTimer();
    this.#stopTimer = this.#clock.after(
      GOODBYE_MS,
      () => this.cut(new Error("virsh did not end after the migration")),
    );
  }

  /** The guest may run at the destination from now on. */
  finishing(): void {
    this.#onFinish();
  }

  /** Ends everything: cuts virsh if it runs, and waits until the system has ended it. */
  async close(): Promise<void> {
    this.#stopTimer();
    this.cut(new Error("The migration was ended here"));
    this.#relay.freeze();
    if (!this.#program) return;
    await withDeadline(this.#clock, KILLED_MS, "virsh to end", this.#program.ended)
      .catch(() => {});
  }
}
