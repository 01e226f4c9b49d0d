import { messageOf } from "../../io/mod.ts";
import { QmpClosedError, queryMigrate } from "../../qmp/mod.ts";
import { MigrationError } from "../errors.ts";
import type { DiscardWatch } from "../guest/discards.ts";
import { handOver as giveToDestination, reportAnswered } from "../handover/ask.ts";
import type { SourceContext } from "./context.ts";
import type { Migrated } from "./options.ts";
import { followRam, isWholeThere } from "./follow_ram.ts";
import type { Ram } from "../ram/ram.ts";
import type { Crossed } from "./switchover.ts";

/** The destination has the guest. */
export interface Arrived {
  readonly is: "arrived";
  /** QEMU's run state at the destination; `null` where another process has heard it. */
  readonly guest: string | null;
  /** None where another process has copied the disks. */
  readonly discards?: DiscardWatch;
  /** When the destination has said so, ms of the clock; absent: just now. */
  readonly answeredAt?: number;
}

/**
 * Has the destination run the guest.
 *
 * @throws {MigrationError} code `not-started`, when the destination does not run it and never will; kind
 * `unknown`, when the destination does not answer.
 */
export async function handOver(context: SourceContext, crossed: Crossed): Promise<Arrived> {
  const { state, guest: watch } = context;
  let guest: string | null = null;
  await state.take("crossed", {
    "report handover": () => context.phase("handover"),
    "call finish": async () => guest = await ask(context),
  }, { wasRunning: watch!.shouldRun });
  const { discards, ram } = crossed;
  const arrived = { is: "arrived", guest, ...(discards ? { discards } : {}) } as const;
  const answeredAt = context.clock.now();
  const isRunning = context.record.wasRunning && context.pausedAt !== undefined;
  if (isRunning) context.report({ event: "guest", state: "running", side: "destination" });
  if (!await isLeft(context, ram)) return arrived;
  await followRam(context, ram);
  return { ...arrived, answeredAt };
}

/** @throws {MigrationError} kind `unknown`, code `postcopy-lost`: QEMU has ended, perhaps with a part of RAM. */
async function isLeft(context: SourceContext, ram: Ram): Promise<boolean> {
  try {
    return await ram.isLeft();
  } catch (cause) {
    if (cause instanceof QmpClosedError && await isWholeThere(context)) return false;
    const message = "The guest was handed over, and a part of its RAM was perhaps only here: " +
      messageOf(cause);
    throw new MigrationError("unknown", "postcopy-lost", "source", message, { cause });
  }
}

async function ask(context: SourceContext): Promise<string | null> {
  const { clock, log, options } = context;
  return await giveToDestination({
    peer: context.destination?.peer,
    migration: context.migration,
    run: context.record.wasRunning,
    graceMs: options.graceMs,
    connect: (signal) => context.connect(signal),
    clock,
    log,
    report: options.report,
  });
}

/** Undoes what the migration has made in the source's QEMU. Failures are reported: the guest has moved. */
export async function finish(context: SourceContext, arrived: Arrived): Promise<Migrated> {
  const { clock, log, state, qmp } = context;
  const answeredAt = arrived.answeredAt ?? clock.now();
  let downtimeMs: number | null = null;
  let discarded: string[] = [];
  let left: readonly string[] = [];
  const pausedAt = context.record.wasRunning ? context.pausedAt : undefined;
  const pauseMs = pausedAt === undefined ? null : answeredAt - pausedAt;
  const leave = {
    "qemu remove-mirrors": async () => {
      const info = await queryMigrate(qmp)
        .catch((error) => log.log("debug", `source: ${messageOf(error)}`));
      downtimeMs = info?.downtimeMs ?? null;
      discarded = await arrived.discards?.dropped() ?? [];
      await context.qemu.closeTargets();
    },
    // Sockets and settings are undone as after a failure; the destination keeps what it has.
    undo: async () => left = (await context.undo.run()).here,
    "undo there": () => context.undoThere.run(),
    "note left": () => context.leave(left),
    "qemu quit": () => quit(context),
    "report done": () => context.options.report({ event: "phase", phase: "done" }),
  };
  if (state.current === "postcopy") await state.take("ram-crossed", leave);
  else await state.take("answered", { "call status": () => tell(context), ...leave });
  return {
    downtimeMs,
    pauseMs,
    guest: arrived.guest,
    bytes: context.bytes,
    carried: context.carried,
    discarded,
    ...skippedIn(context),
    ...(context.verification ? { verify: await context.verification.results() } : {}),
  };
}

function skippedIn({ options, progress }: SourceContext): Pick<Migrated, "skipped"> {
  return options.delta && progress ? { skipped: progress.skipped } : {};
}

/** Lets the destination know that a process that was killed had heard its answer. */
async function tell(context: SourceContext): Promise<void> {
  const { migration, clock, log } = context;
  await reportAnswered({ migration, clock, connect: (signal) => context.connect(signal) })
    .catch((error) => log.log("info", `the destination: ${messageOf(error)}`));
}

async function quit(context: SourceContext): Promise<void> {
  const { departed, quitSource } = context.options;
  const mustStay = await departed?.();
  if (!quitSource) return;
  if (mustStay !== undefined) {
    context.warn("quit-failed", `The source's QEMU was not ended: ${mustStay}`);
    return;
  }
  await context.qmp.execute("quit", {}).catch((error) => {
    context.warn("quit-failed", `The source's QEMU did not quit: ${messageOf(error)}`);
  });
}
