import type { MigrationEvent, Side } from "../../migrate/mod.ts";
import type { Phase } from "../../migrate/mod.ts";
import { withoutTicket } from "../endpoint/address.ts";
import type { CopyEvent, Result } from "../output/events.ts";
import { limitsWords } from "../output/limits_words.ts";
import { VERSION } from "../version.ts";
import { Bounded } from "./bounded.ts";
import type { Identified, Noted, ReportData, ReportedEnd, RunAbout, Span } from "./data.ts";
import { Samples } from "./samples.ts";

/** How many of each kind are kept. */
const MOST = { events: 400, cuts: 400, pauses: 200, passes: 400, phases: 100 } as const;

/** After this, progress is sampled without an event about the traffic, ms. */
const TRAFFIC_LATE_MS = 2_000;

/** What a history needs. */
export interface HistoryOptions {
  readonly about: RunAbout;
  /** ms since 1970. */
  readonly now: () => number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Open = Mutable<Span>;

/**
 * Folds the events of a run into what a report shows. Its memory is bounded: see {@link Samples} and {@link Bounded}.
 * Pure but for its clock.
 */
export class RunHistory {
  readonly #options: HistoryOptions;
  readonly #startedAt: number;
  readonly #samples = new Samples();
  readonly #events = new Bounded<Noted>(MOST.events);
  readonly #cuts = new Bounded<Open & { attempts: number }>(MOST.cuts);
  readonly #pauses = new Bounded<Open>(MOST.pauses);
  readonly #passes = new Bounded<ReportData["passes"][number]>(MOST.passes);
  readonly #phases = new Bounded<Open & { phase: Phase }>(MOST.phases);
  readonly #listeners: ((event: MigrationEvent | CopyEvent) => void)[] = [];
  readonly #versions: Record<Side, { vmferry: string | null; qemu: string | null }>;
  #peer: Pick<ReportedEnd, "host" | "command" | "settings"> = {
    ...{ host: null, command: null, settings: [] },
  };
  #identity: Identified | undefined;
  #migration: string | null = null;
  #address: string | null = null;
  #progress: (MigrationEvent & { readonly event: "progress" }) | undefined;
  #lastRam: ReportData["ram"] = null;
  #lastPass = 0;
  #rttMs: number | null = null;
  #trafficAt: number | undefined;
  /** Bytes of the sessions before the one that runs, and of that. */
  #wireBefore = 0;
  #wire: number | null = null;
  #result: Result | null = null;
  #endedAt: number | undefined;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    const unknown = () => ({ vmferry: null, qemu: null });
    this.#versions = { source: unknown(), destination: unknown() };
    this.#versions[options.about.side].vmferry = VERSION;
  }

  /** Which guest it is. */
  identify(identity: Identified): void {
    this.#identity = identity;
  }

  /** Calls `listener` after each event that was noted. */
  onEvent(listener: (event: MigrationEvent | CopyEvent) => void): void {
    this.#listeners.push(listener);
  }

  note(event: MigrationEvent | CopyEvent): void {
    this.#note(event);
    for (const listener of this.#listeners) listener(event);
  }

  #note(event: MigrationEvent | CopyEvent): void {
    const atMs = this.#atMs();
    const at = { fromMs: atMs, toMs: null };
    const { side } = this.#options.about;
    switch (event.event) {
      case "migration":
        this.#migration = event.migration;
        break;
      case "listening":
        this.#address = withoutTicket(event.address);
        break;
      case "session":
        this.#versions[side === "source" ? "destination" : "source"].vmferry = event.peerVersion;
        this.#wireBefore += this.#wire ?? 0;
        this.#wire = 0;
        break;
      case "host":
        if (event.qemuVersion !== undefined) this.#versions[event.side].qemu = event.qemuVersion;
        if (event.side === side) break;
        this.#peer = {
          host: event.host ?? this.#peer.host,
          command: event.command ?? this.#peer.command,
          settings: event.settings ?? this.#peer.settings,
        };
        break;
      case "phase":
        if (this.#phases.items.at(-1)?.phase === event.phase) break;
        close(this.#phases, atMs);
        this.#phases.add({ ...at, phase: event.phase });
        break;
      case "progress":
        this.#progress = event;
        this.#notePass(event, atMs);
        // With the traffic, which comes as often: else every other sample would have old bytes.
        if (this.#trafficAt === undefined || atMs - this.#trafficAt > TRAFFIC_LATE_MS) {
          this.#sample();
        }
        break;
      case "traffic":
        this.#wire = event.bytes;
        this.#rttMs = event.rttMs;
        this.#trafficAt = atMs;
        this.#sample();
        break;
      case "guest":
        if (event.state === "running") close(this.#pauses, atMs);
        else if (this.#pauses.items.at(-1)?.toMs !== null) this.#pauses.add(at);
        break;
      case "link": {
        const cut = this.#cuts.items.at(-1);
        const isOpen = cut?.toMs === null;
        if (isOpen) cut.attempts = Math.max(cut.attempts, event.attempt);
        if (event.state === "up") close(this.#cuts, atMs);
        else if (!isOpen) this.#cuts.add({ ...at, attempts: event.attempt });
        break;
      }
      case "waiting":
        this.#events.add({
          atMs,
          kind: "note",
          message: `It waits for ${event.running.length} others`,
        });
        break;
      case "carry":
        if (event.sent < event.total) break;
        this.#events.add({ atMs, kind: "note", message: `vmferry was copied to ${event.host}` });
        break;
      case "limits":
        this.#events.add({ atMs, kind: "note", message: `vmferry set: ${limitsWords(event)}` });
        break;
      case "ladder":
        this.#events.add({ atMs, kind: "step", message: event.message });
        break;
      case "warning":
        this.#events.add({ atMs, kind: "warning", code: event.code, message: event.message });
        break;
      case "copy":
      case "result":
        this.#end(event, atMs);
        break;
    }
  }

  /** How it is now. Not {@link printableAll}: texts of others are as they came. */
  data(): ReportData {
    const { about, now } = this.#options;
    const lists = [this.#events, this.#cuts, this.#pauses, this.#passes, this.#phases];
    const { name, uuid } = this.#identity?.guest ?? { name: null, uuid: null };
    const { host, command, settings } = about;
    const ends = (["source", "destination"] as const).map((side) => ({
      side,
      ...this.#versions[side],
      ...side === about.side ? { host, command, settings } : this.#peer,
    }));
    return {
      ...{ format: "vmferry-report", version: 1, written: timeOf(now()) },
      ...{ role: about.side, migration: this.#migration, guest: { name, uuid } },
      ...{ address: this.#address, startedAt: timeOf(this.#startedAt) },
      endedAt: this.#endedAt === undefined ? null : timeOf(this.#endedAt),
      elapsedMs: this.#atMs(this.#endedAt),
      ends,
      phases: copied(this.#phases),
      cuts: copied(this.#cuts),
      pauses: copied(this.#pauses),
      passes: copied(this.#passes),
      events: copied(this.#events),
      leftOut: lists.reduce((sum, { dropped }) => sum + dropped, 0),
      disks: this.#progress?.disks ?? [],
      ram: this.#lastRam,
      samples: this.#samples.columns(),
      result: this.#result,
    };
  }

  #end(event: Result, atMs: number): void {
    this.#result = event;
    this.#endedAt = this.#options.now();
    for (const list of [this.#phases, this.#cuts, this.#pauses]) close<Open>(list, atMs);
    const { error } = event;
    if (error) {
      this.#events.add({ atMs, kind: "error", code: error.code, message: error.message });
    }
    this.#sample(true);
  }

  #notePass({ ram }: MigrationEvent & { readonly event: "progress" }, atMs: number): void {
    if (!ram) return;
    this.#lastRam = ram;
    if (ram.iteration <= this.#lastPass) return;
    this.#lastPass = ram.iteration;
    const { iteration: pass, transferred: sentBytes, dirtyRate } = ram;
    this.#passes.add({ atMs, pass, sentBytes, dirtyRate });
  }

  #sample(isLast = false): void {
    const { disks = [], ram = null, rate = null } = this.#progress ?? {};
    const wireBytes = this.#wire === null ? null : this.#wireBefore + this.#wire;
    this.#samples.add(
      { atMs: this.#atMs(), wireBytes, rate, rttMs: this.#rttMs, ram, disks },
      isLast,
    );
  }

  #atMs(at = this.#options.now()): number {
    return Math.max(0, Math.round(at - this.#startedAt));
  }
}

/** Ends the last one, if it lasts still. */
function close<T extends Open>(list: Bounded<T>, atMs: number): void {
  const last = list.items.at(-1);
  if (last?.toMs === null) last.toMs = atMs;
}

function copied<T extends object>(list: Bounded<T>): T[] {
  return list.items.map((item) => ({ ...item }));
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
