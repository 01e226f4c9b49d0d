import { systemClock } from "../../io/mod.ts";
import { CopyDestination } from "../../copy/mod.ts";
import { asMigrationError, MigrationError, type Report } from "../../migrate/mod.ts";
import type { ReceiveCopyCommand } from "../copy/args.ts";
import { UsageError } from "../args/usage_error.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { CopyControl } from "../copy/copy_control.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { copyHost } from "../copy/copy_host.ts";
import { copyEvent } from "../output/copy_event.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { isSourcesToReport } from "../output/events.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf } from "../output/result.ts";
import { RunFiles } from "../report/run_files.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { onSignals } from "../signals.ts";

/** The destination of a copy: writes the images that one source sends. */
export async function receiveCopy(options: ReceiveCopyCommand, output: Output): Promise<ExitCode> {
  const { log } = output;
  const isPipe = options.listen === "stdio";
  const startedAt = systemClock.now();
  // The source shows what this end prints, beside its own report.
  let sourceReports = false;
  const print: Report = (event) => {
    if (sourceReports && isSourcesToReport(event, log)) return;
    output.report(event.event === "listening" ? { ...event, copy: true } : event);
  };
  await using files = await RunFiles.open(options, output, "destination");
  await using control = new CopyControl(print, log, files.history);
  const { report } = control;
  using end = await ListeningEnd.prepare(options.listen, options, {
    ...{ report, log },
    line: (text) => output.line(text),
  });
  let copy: CopyDestination | undefined;
  let cancelled: MigrationError | undefined;
  const giveUp = (reason: MigrationError) => {
    cancelled = reason;
    void copy?.cancel(reason);
  };
  using _signals = onSignals((name) => {
    const message = `Cancelled by ${name} at the destination`;
    giveUp(new MigrationError("cancelled", "cancelled", "destination", message));
  });
  const finish = (
    result: Omit<Parameters<typeof copyEvent>[0], "side" | "startedAt" | "bytes">,
  ) => {
    const bytes = copy?.bytes ?? 0;
    const event = copyEvent({ side: "destination", startedAt, bytes, ...result });
    if (!sourceReports || log.debugEnabled) output.report(event);
    control.end(event);
  };
  try {
    await removeAbandoned(runBase(options.runDir), log);
    await using dir = await PrivateRunDir.make(options.runDir, "destination");
    await end.open(undefined, new KeptTicket(dir.own(KEPT_TICKET)));
    await control.serve(
      dir.own(CONTROL_SOCKET),
      { role: "destination", runDir: dir.directory, images: [] },
      { cancel: giveUp, bandwidth: null },
    );
    const destination = copy = new CopyDestination({
      ...{ host: await copyHost(dir, log), isPipe, trust: isPipe ? "login" : "network" },
      claimed: async (session) => {
        await end.claim(session);
        control.begin();
      },
    });
    const server = await end.serve((session) => {
      sourceReports = isPipe;
      destination.serve(session);
    });
    if (cancelled) void destination.cancel(cancelled);
    const stopWaiting = options.timeoutMs === 0 ? () => {} : systemClock.after(
      options.timeoutMs,
      () => {
        const message = `No source came within ${options.timeoutMs / 1000} s`;
        if (destination.hasSource) return;
        giveUp(new MigrationError("failed", "timeout", "destination", message));
      },
    );
    try {
      const arrived = await destination.outcome();
      finish({
        images: arrived.map(({ path, allocatedBytes }) => ({ to: path, allocatedBytes })),
      });
      return EXIT.done;
    } finally {
      stopWaiting();
      await destination.leave();
      await server.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "destination");
    finish({ images: [], error: failure });
    return exitCodeOf(failure);
  }
}
