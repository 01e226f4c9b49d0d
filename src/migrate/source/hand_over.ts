import { messageOf } from "../../io/mod.ts";
import { queryMigrate } from "../../qmp/mod.ts";
import type { DiscardWatch } from "../guest/discards.ts";
import { handOver as giveToDestination } from "../handover/ask.ts";
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
  const { clock, log, options, state } = context;
  const guest = await giveToDestination({
    peer: context.destination?.peer,
    migration: context.migration,
    run: state.record.wasRunning,
    graceMs: options.graceMs,
    connect: (signal) => context.connect(signal),
    clock,
    log,
    report: options.report,
  });
  state.take("answered");
  const { discards } = crossed;
  return { is: "arrived", guest, ...(discards ? { discards } : {}) };
}

/** Undoes what the migration has made in the source's QEMU. Failures are reported: the guest has moved. */
export async function finish(context: SourceContext, arrived: Arrived): Promise<Migrated> {
  const answeredAt = context.clock.now();
  const tolerate = (error: unknown) => context.log.log("debug", `source: ${messageOf(error)}`);
  await context.state.write({ state: "done" }).catch(tolerate);
  const pausedAt = context.state.record.wasRunning ? context.pausedAt : undefined;
  const pauseMs = pausedAt === undefined ? null : answeredAt - pausedAt;
  const info = await queryMigrate(context.qmp).catch(tolerate);
  const downtimeMs = info?.downtimeMs ?? null;
  const discarded = await arrived.discards?.dropped() ?? [];
  await context.qemu.closeTargets();
  // Sockets and settings are undone as after a failure; the destination keeps what it has.
  await context.leave((await context.undo.run()).here);
  await quit(context);
  context.options.report({ event: "phase", phase: "done" });
  return { downtimeMs, pauseMs, guest: arrived.guest, bytes: context.bytes, discarded };
}

async function quit(context: SourceContext): Promise<void> {
  if (!context.options.quitSource) return;
  await context.qmp.execute("quit", {}).catch((error) => {
    context.warn("quit-failed", `The source's QEMU did not quit: ${messageOf(error)}`);
  });
}
