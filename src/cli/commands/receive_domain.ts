import { systemClock, withDeadline } from "../../io/mod.ts";
import { describeDomainHost, DomainDestination, type DomainRecord } from "../../domain/mod.ts";
import { parseLibvirtUri, socketCandidates } from "../../libvirt/mod.ts";
import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import type { ReceiveDomainCommand } from "../args/receive_domain.ts";
import { UsageError } from "../args/usage_error.ts";
import { DestinationControl } from "../control/destination_control.ts";
import { RunFiles } from "../report/run_files.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import type { Identity } from "../control/status_board.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { KEPT_TICKET, KeptTicket } from "../endpoint/ticket_use.ts";
import { domainHost } from "../host/domain_destination_host.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import { EarlierDomains } from "../run/earlier_domains.ts";
import { DOMAIN_DESTINATION_JOURNAL, JournalFile } from "../run/journal_file.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { askedMs, outcomeOf } from "./outcome.ts";

/** How long a source at the other end of a pipe may take to hear how it ended, ms. */
const GONE_MS = 5_000;

/** The destination of a domain: serves one migration, ends when it is settled. */
export async function receiveDomain(
  options: ReceiveDomainCommand,
  output: Output,
): Promise<ExitCode> {
  const { log } = output;
  const isStdio = options.listen === "stdio";
  await using files = await RunFiles.open(options, output, "destination");
  await using control = new DestinationControl({
    log,
    identify: files.identify,
    history: files.history,
    report: (event) => {
      files.report(event.event === "listening" ? { ...event, libvirt: true } : event);
    },
  });
  const { report } = control;
  const startedAt = systemClock.now();
  using end = await ListeningEnd.prepare(options.listen, options, {
    report,
    log,
    line: (text) => output.line(text),
  });
  let migration: DomainDestination | undefined;
  control.begin();
  try {
    const base = runBase(options.runDir);
    const host = await domainHost(options.connect, log);
    // Over standard input and output the source asks at once, and gets the same answer.
    if (!isStdio) await describeDomainHost(host);
    await removeAbandoned(base, log);
    const others = new EarlierDomains(base, host);
    await others.settleDead();
    await using dir = await PrivateRunDir.make(options.runDir, "destination");
    using journal = await JournalFile.open<DomainRecord>(dir.directory, DOMAIN_DESTINATION_JOURNAL);
    await end.open(undefined, new KeptTicket(dir.own(KEPT_TICKET)));
    const user = { uid: host.user.uid, runtimeDir: host.runtimeDir };
    const destination = new DomainDestination({
      host,
      libvirtSockets: socketCandidates(parseLibvirtUri(options.connect), user),
      journal,
      recoverCommand: `virsh -c ${options.connect} list --all`,
      claimed: (session) => end.claim(session),
      others,
      report,
      clock: systemClock,
      log,
    });
    migration = destination;
    control.drive(destination);
    await control.serve(
      dir.own(CONTROL_SOCKET),
      identityOf(destination, dir.directory, options.connect),
    );
    const server = await end.serve((session) => {
      control.sourceReports = isStdio;
      destination.serve(session);
    });
    control.awaitSource(end.over, options.timeoutMs);
    let failure: MigrationError | undefined;
    try {
      failure = await outcomeOf(destination);
      if (failure) output.log.log("debug", failure.message);
      const { bytes, guestStatus: guest } = destination;
      report(
        resultEvent({
          isDomain: true,
          startedAt,
          bytes,
          guest,
          error: failure,
          ...nextOf(failure),
        }),
      );
      // A source that this end has cancelled heard of it at once.
      const lostMs = failure?.kind === "cancelled" ? 0 : end.graceMs;
      const tellMs = isStdio ? GONE_MS : askedMs(lostMs);
      await withDeadline(systemClock, tellMs, "the source to hear of it", destination.told)
        .catch((error) => log.log("warning", error.message));
    } finally {
      control.stopWaiting();
      await destination.leave();
      await server.close();
      if (destination.mustStay) dir.keep();
    }
    return failure ? exitCodeOf(failure) : EXIT.done;
  } catch (error) {
    control.sourceReports = false;
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "destination");
    report(
      resultEvent({ isDomain: true, startedAt, bytes: migration?.bytes ?? 0, error: failure }),
    );
    return exitCodeOf(failure);
  }
}

/** libvirt, not QEMU, has the guest: the advice for a QEMU that waits does not fit. */
function nextOf(failure: MigrationError | undefined): { readonly next?: readonly string[] } {
  if (failure && failure.kind !== "unknown") return {};
  return { next: failure ? ["'virsh list --all' on both hosts shows the domain"] : [] };
}

/** The domain is known once a source has named it. */
function identityOf(destination: DomainDestination, runDir: string, libvirt: string): Identity {
  return {
    ...{ role: "destination", pid: Deno.pid, runDir, qmp: "", libvirt },
    get guest() {
      const { name = null, uuid = null } = destination.domain ?? {};
      return { name, uuid };
    },
  };
}
