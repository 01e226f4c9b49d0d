import { messageOf } from "../../io/mod.ts";
import { queryMigrate } from "../../qmp/mod.ts";
import type { DiscardWatch } from "../guest/discards.ts";
import { handOver as giveToDestination, reportAnswered } from "../handover/ask.ts";
import type { SourceContext } from "./context.ts";
import type { Migrated } from "./options.ts";
import type { Crossed } from "./switchover.ts";

/** The destination has the guest. */
export interface Arrived {
  readonly is: "arrived";
  /** QEMU's run state at the destination; `null` where another process has heard it. */
  readonly guest: string | null;
  /** None where another process has copied the disks. */
  readonly discards?: DiscardWatch;
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
  const { discards } = crossed;
  return { is: "arrived", guest, ...(discards ? { discards } : {}) };
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
  const answeredAt = clock.now();
  let downtimeMs: number | null = null;
  let discarded: string[] = [];
  let left: readonly string[] = [];
  const pausedAt = context.record.wasRunning ? context.pausedAt : undefined;
  const pauseMs = pausedAt === undefined ? null : answeredAt - pausedAt;
  await state.take("answered", {
    "call status": () => tell(context),
    "qemu remove-mirrors": async () => {
      const info = await queryMigrate(qmp)
        .catch((error) => log.log("debug", `source: ${messageOf(error)}`));
      downtimeMs = info?.downtimeMs ?? null;
      discarded = await arrived.discards?.dropped() ?? [];
      await context.qemu.closeTargets();
    },
    // Sockets and settings are undone as after a failure; the destination keeps what it has.
    undo: async () => left = (await context.undo.run()).here,
    "note left": () => context.leave(left),
    "qemu quit": () => quit(context),
    "report done": () => context.options.report({ event: "phase", phase: "done" }),
  });
  return { downtimeMs, pauseMs, guest: arrived.guest, bytes: context.bytes, discarded };
}

/** Lets the destination know that a process that was killed had heard its answer. */
async function tell(context: SourceContext): Promise<void> {
  const { migration, clock, log } = context;
  await reportAnswered({ migration, clock, connect: (signal) => context.connect(signal) })
    .catch((error) => log.log("info", `the destination: ${messageOf(error)}`));
}

async function quit(context: SourceContext): Promise<void> {
  if (!context.options.quitSource) return;
  await context.qmp.execute("quit", {}).catch((error) => {
    context.warn("quit-failed", `The source's QEMU did not quit: ${messageOf(error)}`);
  });
}
