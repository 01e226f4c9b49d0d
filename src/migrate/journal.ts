/**
 * The journal: one record a side, replaced at every step that matters, so that another process can
 * resume or undo a migration whose process was killed.
 *
 * @module
 */
import { destinationState, schema } from "../rpc/mod.ts";
import type { SourceState } from "./handover/states.ts";
import { agreedMultifd } from "./multifd.ts";
import { agreedPostcopy } from "./postcopy/agreed.ts";

const { flag, integer, list, nullable, object, text, word } = schema;

/** Version of these records. A reader takes no other. */
export const JOURNAL_FORMAT = 2;

/**
 * How a guest stands, or is about to, before the switchover: `no`; `held`, for a moment; `suspended`, so
 * that the rest can catch up.
 */
export type Stop = "no" | "held" | "suspended";

/** Where records are kept: each one written replaces the one before, durably. */
export interface JournalStore<T> {
  /** Resolves when the record would survive the end of this process. */
  write(record: T): Promise<void>;
}

/** An object with any members: what QEMU had there goes back as it was. */
const members: schema.Schema<Readonly<Record<string, unknown>>> = (value, path) => ({
  ...value as Record<string, unknown>,
  ...object({})(value, path),
});

const name = text(256);
const settings = object({
  capabilities: list(object({ capability: name, state: flag }), 256),
  parameters: members,
});

const common = {
  format: integer(JOURNAL_FORMAT, JOURNAL_FORMAT),
  /** Names the migration on both sides. */
  migration: text(64),
  /** The QMP socket, as an absolute path. */
  qmp: text(4096),
  /** The guest's name or UUID; empty where it has neither. */
  guest: name,
  /** QEMU's migration settings as they were before. */
  settings,
  /** Names the QEMU process; `null` where that is not known, as in records before 1.1. */
  qemu: nullable(text(64)),
  /**
   * The migration is over and these steps could not be undone, as text: the next run with this QEMU
   * finishes them first. `null`: all is undone, or it is not over.
   */
  left: nullable(list(text(1024), 64)),
  /** RAM crosses in several streams; `null`: in one, or both ends have not agreed yet. */
  multifd: nullable(agreedMultifd),
};

const sourceState = word<SourceState>(
  "prepare",
  "mirror",
  "ram",
  "switchover",
  "handover",
  "postcopy",
  "done",
  "undone",
  "unknown",
);

const stop = word<Stop>("no", "held", "suspended");

const source = object({
  ...common,
  side: word("source"),
  state: sourceState,
  /** The guest is to run when the migration is over: it did when it began, or was let run since. */
  wasRunning: flag,
  /** Whether we have stopped the guest before the switchover, or are about to. */
  stopped: stop,
  /** The guest slept (S3) when QEMU stopped it for the switchover; `null` before. */
  asleep: nullable(flag),
  /** The destination's address, without any secret. */
  destination: text(4096),
  /** The command that looks after this migration there. */
  recoverThere: text(4096),
  /** What both QEMUs are set up for; `null`: no post-copy, as in records before 1.1. */
  postcopy: nullable(agreedPostcopy),
  /** With `--verify`: QEMU's NBD server was started for it, or is about to be; `null`: it was not. */
  verifies: nullable(flag),
  mirrors: list(
    object({
      name,
      device: name,
      sizeBytes: integer(),
      exportName: text(1024),
      jobId: name,
      targetNode: name,
      noHoles: nullable(flag),
      topOnly: nullable(flag),
      delta: nullable(flag),
    }),
    1024,
  ),
});

const destination = object({
  ...common,
  side: word("destination"),
  state: destinationState,
  /** Where the source reaches this end. */
  listen: text(4096),
  exports: list(object({ disk: name, exportName: text(1024), id: name }), 1024),
  /** QEMU was given its one incoming migration. */
  incomingStarted: flag,
  /** As at the source. */
  postcopy: nullable(agreedPostcopy),
  /** Whether the guest is to run; `null` before the source said so. */
  run: nullable(flag),
});

/** The source's journal record. */
export type SourceRecord = schema.TypeOf<typeof source>;
/** The destination's journal record. */
export type DestinationRecord = schema.TypeOf<typeof destination>;
/** The record of either side. */
export type JournalRecord = SourceRecord | DestinationRecord;

/**
 * A record from what was read back.
 *
 * @throws {schema.SchemaError} when it is none that this version understands.
 */
export function parseRecord(value: unknown): JournalRecord {
  const side = (value as { side?: unknown } | null)?.side;
  return side === "destination" ? destination(value, "journal") : source(value, "journal");
}

/** What a source knows of a migration that it is about to begin. */
export function firstSourceRecord(what: Pick<SourceRecord, "qmp" | "destination">): SourceRecord {
  return {
    ...what,
    format: JOURNAL_FORMAT,
    side: "source",
    migration: crypto.randomUUID(),
    guest: "",
    state: "prepare",
    wasRunning: true,
    stopped: "no",
    asleep: null,
    recoverThere: "",
    postcopy: null,
    verifies: null,
    mirrors: [],
    settings: { capabilities: [], parameters: {} },
    ...{ qemu: null, left: null, multifd: null },
  };
}

/** What a destination knows of a migration when it is announced; nothing was made for it yet. */
export function firstRecord(
  what: Pick<DestinationRecord, "migration" | "qmp" | "listen">,
): DestinationRecord {
  return {
    ...what,
    format: JOURNAL_FORMAT,
    side: "destination",
    guest: "",
    state: "waiting",
    exports: [],
    incomingStarted: false,
    postcopy: null,
    run: null,
    settings: { capabilities: [], parameters: {} },
    ...{ qemu: null, left: null, multifd: null },
  };
}
