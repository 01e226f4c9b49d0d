import { type Logger, messageOf } from "../../io/mod.ts";
import { MigrationError, type Report } from "../../migrate/mod.ts";
import type { Recorded } from "./create.ts";
import type { DestinationHost } from "./host.ts";
import { removeCreated, removeSockets } from "./remove.ts";
import { domainStatus, settle, type Settlement } from "./settle.ts";

/** What the end of a migration needs. */
export interface EndingOptions {
  /** This host. */
  readonly host: DestinationHost;
  /** Cuts the channels of all sessions; none is open when it resolves. */
  readonly cutAll: () => Promise<void>;
  /** Gets the events. */
  readonly report: Report;
  /** Gets diagnostics. */
  readonly log: Logger;
}

/** How a migration ends at the destination: by its source's word, or by what libvirt says. */
export class Ending {
  readonly #options: EndingOptions;
  readonly #outcome = Promise.withResolvers<void>();
  readonly #told = Promise.withResolvers<void>();
  /** The migration is being settled: Finish does not pass any more. */
  #settling: Promise<Settlement> | undefined;
  /** The channels of all sessions are being cut. */
  #cut: Promise<void> = Promise.resolve();
  #failure: MigrationError | undefined;
  #guest: string | null = null;
  #isOver = false;
  #mustStay = false;

  /** Ends nothing yet. */
  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** Resolves when it is over; then {@link failure} says whether it failed. */
  get outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  /** Resolves when the source knows the outcome, or never prepared anything. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  /** Why it failed. */
  get failure(): MigrationError | undefined {
    return this.#failure;
  }

  /** `running` or `paused` when the domain is here; `null` otherwise. */
  get guest(): string | null {
    return this.#guest;
  }

  /** It is over, or being settled: nothing begins any more. */
  get hasBegun(): boolean {
    return this.#isOver || this.#settling !== undefined;
  }

  /** The journal must stay: something is left, or it is not clear where the guest runs. */
  get mustStay(): boolean {
    return this.#mustStay;
  }

  /** Resolves when a settlement that has begun has cut the channels. */
  get cut(): Promise<void> {
    return this.#cut;
  }

  /** Nothing was prepared: the reason is the outcome. */
  giveUp(reason: MigrationError): void {
    this.#end(reason);
    this.#told.resolve();
  }

  /**
   * The preparation has failed: removes what it has created. There is no second one, because a ticket is
   * used by now.
   */
  async unprepared(recorded: Recorded | undefined, reason: MigrationError): Promise<void> {
    if (this.hasBegun) return;
    if (recorded) {
      const left = await removeCreated(this.#options.host, recorded.current);
      this.warnOf(left);
      if (left.length === 0) await recorded.write({ state: "failed" }).catch(() => {});
    }
    if (!this.hasBegun) this.giveUp(reason);
  }

  /** Nothing was prepared: the source's earlier migration has brought the domain here. */
  arrivedEarlier(guest: string | null): void {
    this.#guest = guest;
    this.#arrive();
    this.#told.resolve();
  }

  /** The source says that the domain is here. @returns what is left. */
  async migrated(recorded: Recorded): Promise<readonly string[]> {
    const { host } = this.#options;
    await this.#settling;
    this.#mustStay = false;
    await recorded.write({ state: "migrated", mayHaveRun: true });
    const [left, status] = await Promise.all([
      removeSockets(host, recorded.current),
      domainStatus(host, recorded.current.uuid).catch(() => undefined),
    ]);
    this.warnOf(left);
    this.#guest = status?.state === "running" || status?.state === "paused" ? status.state : null;
    this.#arrive();
    this.#told.resolve();
    return left;
  }

  /** The source says that it has failed. @returns what is left. */
  async failed(recorded: Recorded): Promise<readonly string[]> {
    const { host } = this.#options;
    const before = await this.#settling;
    if (before?.verdict === "removed" || before?.verdict === "here") {
      this.#told.resolve();
      return before.left;
    }
    this.#settling = (async () => {
      await (this.#cut = this.#options.cutAll());
      return await settle(host, recorded.current, "source");
    })();
    const settlement = await this.#settling;
    await this.#close(recorded, settlement);
    const message = settlement.verdict === "here"
      ? "The source reports a failure, but the domain is here"
      : "The source ended the migration; its message has the reason";
    this.#end(new MigrationError("failed", "domain-failed", "source", message));
    this.#told.resolve();
    if (settlement.verdict === "here") return [...settlement.left, HERE];
    return settlement.left;
  }

  /**
   * Settles without a source: libvirt's state decides. Cuts the channels at once.
   *
   * @param how `made`: resolves when the preparation creates nothing any more. `mayAsk`: the source may have
   * paused the guest and has to ask where it is; then it is not {@link told} yet.
   */
  async alone(
    recorded: Recorded,
    { made, reason, mayAsk }: {
      readonly made: Promise<unknown>;
      readonly reason: MigrationError;
      readonly mayAsk: () => boolean;
    },
  ): Promise<void> {
    if (this.hasBegun) return;
    this.#settling = (async () => {
      // Before the first wait: what is cut must not pass a Finish.
      await (this.#cut = this.#options.cutAll());
      await made;
      return await settle(this.#options.host, recorded.current, "nobody");
    })();
    const settlement = await this.#settling;
    await this.#close(recorded, settlement);
    const { verdict, status, left } = settlement;
    if (verdict === "here") {
      this.#guest = status!.state;
      // Until the source hears of it: the guest may end here before.
      this.#mustStay = true;
      return this.#arrive();
    }
    if (verdict === "removed") {
      if (!mayAsk()) this.#told.resolve();
      return this.#end(reason);
    }
    const { name } = recorded.current;
    if (verdict === "split") {
      const message = `${reason.message}. Post-copy of domain ${name} was cut off: it runs here ` +
        "without a part of its RAM, which the source has. Do not destroy it on either host";
      return this.#end(new MigrationError("unknown", "postcopy-failed", "destination", message));
    }
    const because = verdict === "unclear"
      ? `libvirt does not say whether it runs here: ${left.join("; ")}`
      : "it is not active here, and may have run here before";
    const message = `${reason.message}. Where domain ${name} runs is not known: ${because}. ` +
      "Its images stay. Look at 'virsh list --all' on both hosts before you start it";
    this.#end(new MigrationError("unknown", "domain-unsettled", "destination", message));
  }

  /** Writes how it ended and keeps the journal if something is left. */
  async #close(recorded: Recorded, { verdict, left }: Settlement): Promise<void> {
    this.#mustStay = false;
    this.warnOf(verdict === "unclear" ? [] : left);
    if (verdict !== "here" && verdict !== "removed") this.#mustStay = true;
    else {
      const state = verdict === "here" ? "migrated" : "failed";
      const change = verdict === "here" ? { state, mayHaveRun: true } as const : { state } as const;
      // What is left stays in the journal in the state that has it removed later.
      if (left.length > 0 && verdict === "removed") return;
      await recorded.write(change).catch((error) =>
        this.#options.log.log("warning", `the journal: ${messageOf(error)}`)
      );
    }
  }

  /** Reports what could not be removed. */
  warnOf(left: readonly string[]): void {
    if (left.length === 0) return;
    this.#mustStay = true;
    const message = `Not removed at the destination: ${left.join("; ")}. The next ` +
      "'vmferry receive --libvirt' on this host tries again";
    this.#options.report({ event: "warning", code: "not-undone", message });
  }

  #arrive(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.report({ event: "phase", phase: "done" });
    this.#outcome.resolve();
  }

  #end(failure: MigrationError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#outcome.resolve();
  }
}

const HERE = "The domain is active at the destination; its images stay";
