import type { Logger } from "../../io/mod.ts";
import type { MigrationEvent, Phase, Report, Side } from "../../migrate/mod.ts";
import { withoutTicket } from "../endpoint/address.ts";
import type { CopyEvent, Result, StatusEvent } from "../output/events.ts";
import type { ReportData } from "../report/data.ts";
import type { RunHistory } from "../report/history.ts";

type Progress = MigrationEvent & { readonly event: "progress" };
type Link = MigrationEvent & { readonly event: "link" };
export type { Result };

/** Warnings that are kept for `status`. */
const MAX_WARNINGS = 20;

/** What of a status does not come from events. */
export interface Identity {
  readonly role: Side;
  readonly pid: number;
  readonly runDir: string;
  /** The QMP socket, an absolute path; empty for a domain of libvirt and for a copy. */
  readonly qmp: string;
  /** URI of the libvirt whose domain it is. */
  readonly libvirt?: string;
  /** It is a copy, of these images at the source; empty at its destination. */
  readonly copy?: readonly string[];
  readonly guest: { readonly name: string | null; readonly uuid: string | null };
}

/** Where a control reports. */
export interface ControlOutput {
  readonly report: Report;
  readonly log: Logger;
  /** Where each event is noted, whether it is printed or not. */
  readonly history?: RunHistory;
  /** Called once it is known which guest it is. */
  readonly identify?: (identity: Identity) => void;
}

/** Keeps the latest events of a migration for `status`. Pure but for the two clocks. */
export class StatusBoard {
  /** Resolves with the last event of the migration, when all is undone or done. */
  readonly ended: Promise<Result>;
  readonly #end: (result: Result) => void;
  readonly #startedAt = new Date().toISOString();
  readonly #start = performance.now();
  #phase: Phase | null = null;
  #progress: Progress | undefined;
  #link: Link | undefined;
  #address: string | null = null;
  #warnings: string[] = [];
  readonly #steps: string[] = [];
  #over = false;
  readonly #history: RunHistory | undefined;

  /** @param history gets each event that is noted here. */
  constructor(history?: RunHistory) {
    this.#history = history;
    const { promise, resolve } = Promise.withResolvers<Result>();
    [this.ended, this.#end] = [promise, resolve];
  }

  /** Where the migration is; `null` before it has begun. */
  get phase(): Phase | null {
    return this.#phase;
  }

  /** The result was reported. */
  get over(): boolean {
    return this.#over;
  }

  /** The guest is being handed over, or has been: there is nothing left to cancel. */
  get isLate(): boolean {
    return ["handover", "postcopy", "done"].includes(this.#phase ?? "");
  }

  /**
   * A report that is noted here on its way to `next`. The result is the last event (docs/json.md): what comes later, while
   * vmferry tells its peer, goes to `log` if it is a warning or a failure, else nowhere.
   */
  noting(next: Report, log: Logger): Report {
    return (event) => {
      if (this.#over) {
        if (event.event === "warning") log.log("warning", event.message);
        if (event.event === "result" && event.error) log.log("warning", event.error.message);
        return;
      }
      this.note(event);
      next(event);
    };
  }

  note(event: MigrationEvent | CopyEvent): void {
    this.#history?.note(event);
    switch (event.event) {
      case "phase":
        this.#phase = event.phase;
        break;
      case "waiting":
        this.#phase = "waiting";
        break;
      case "progress":
        this.#progress = event;
        break;
      case "link":
        this.#link = event;
        break;
      case "listening":
        // Status needs no ticket.
        this.#address = withoutTicket(event.address);
        break;
      case "ladder":
        this.#steps.push(event.message);
        break;
      case "warning":
        this.#warnings = [...this.#warnings, event.message].slice(-MAX_WARNINGS);
        break;
      case "copy":
      case "result":
        this.#over = true;
        this.#end(event);
        break;
    }
  }

  /** What a report shows of it; `undefined` without a history. */
  get reportData(): ReportData | undefined {
    return this.#history?.data();
  }

  /** How it is now. */
  status(
    identity: Identity,
    limits: Pick<StatusEvent, "bandwidth" | "share" | "maxDowntimeMs" | "ending">,
  ): StatusEvent {
    const progress = this.#progress;
    return {
      event: "status",
      ...identity,
      phase: this.#phase,
      address: this.#address,
      disks: progress?.disks ?? [],
      ram: progress?.ram ?? null,
      rate: progress?.rate ?? 0,
      eta: progress?.eta ?? null,
      ...(progress?.compression === undefined ? {} : { compression: progress.compression }),
      link: {
        state: this.#link?.state ?? "up",
        graceLeft: this.#link?.graceLeft ?? null,
        ...(this.#link?.connections ? { connections: this.#link.connections } : {}),
      },
      ...limits,
      startedAt: this.#startedAt,
      elapsedMs: Math.round(performance.now() - this.#start),
      ...(this.#steps.length > 0 ? { steps: [...this.#steps] } : {}),
      warnings: this.#warnings,
    };
  }
}
