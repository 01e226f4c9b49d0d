import { type Logger, messageOf, systemClock } from "../../io/mod.ts";
import { checkDomain, DomainPeer, domainRefusal } from "../../domain/mod.ts";
import {
  DEFAULT_URI,
  MigrateOptionError,
  parseLibvirtUri,
  parseMigrateOptions,
  uriWithSocket,
  Virsh,
} from "../../libvirt/mod.ts";
import { asMigrationError, MigrationError } from "../../migrate/mod.ts";
import { ChannelListener, RpcError } from "../../rpc/mod.ts";
import { listenUnix } from "../../transport/mod.ts";
import type { CheckDomainCommand } from "../args/domain.ts";
import { UsageError } from "../args/usage_error.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { describeHost } from "../host/describe_host.ts";
import { fileReader } from "../host/file_reader.ts";
import { runProgram } from "../host/run_program.ts";
import { socketBufferNotes } from "../host/socket_buffers.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf, resultEvent } from "../output/result.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { onSignals } from "../signals.ts";

/** Reports everything that would prevent the migration of a domain. Leaves nothing on either host. */
export async function checkDomainCommand(
  options: CheckDomainCommand,
  output: Output,
): Promise<ExitCode> {
  const startedAt = systemClock.now();
  const connect = await connector(options.destination, options, output);
  const stop = new AbortController();
  using _signals = onSignals((name) =>
    stop.abort(new MigrationError("cancelled", "cancelled", "source", `Cancelled by ${name}`))
  );
  const { log } = output;
  const { signal } = stop;
  try {
    const migrate = migrateOptions(options.virshOptions);
    await using dir = await PrivateRunDir.make(options.runDir, "source");
    const peer = new DomainPeer(await connect(signal), { clock: systemClock, log });
    let tunnel: ChannelListener | undefined;
    try {
      const socket = dir.own("libvirt.sock");
      tunnel = await serveLibvirt(peer, socket, log);
      const uri = uriWithSocket(parseLibvirtUri(await uriThere(peer, signal)), socket);
      const { problems, warnings, notes, disks, qemu } = await checkDomain({
        ...{ name: options.domain, reuse: options.reuse, shared: options.shared, migrate, peer },
        delta: options.delta,
        source: new Virsh({ run: runProgram, uri: options.connect }),
        destination: new Virsh({ run: runProgram, uri }),
        ...{ run: runProgram, describeHost: describeHost(log), files: fileReader },
        ...{ clock: systemClock, log, signal },
      });
      output.report({
        ...{ event: "check", role: "source", disks, problems, warnings, differences: [] },
        notes: [...notes, ...await socketBufferNotes(runProgram)],
        ends: [
          { side: "source", qemuVersion: qemu.source },
          { side: "destination", qemuVersion: qemu.destination },
        ],
      });
      return problems.length === 0 ? EXIT.done : exitCodeOf(domainRefusal(problems));
    } finally {
      await tunnel?.close();
      await peer.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(signal.aborted ? signal.reason : error, "source");
    output.report(
      resultEvent({ isDomain: true, startedAt, bytes: 0, error: failure, check: true }),
    );
    return exitCodeOf(failure);
  }
}

/** Joins each connection of virsh to the destination's libvirt. */
async function serveLibvirt(
  peer: DomainPeer,
  socket: string,
  log: Logger,
): Promise<ChannelListener> {
  return new ChannelListener(await listenUnix(socket), "libvirt", {
    log,
    open: (channel, signal) => peer.openChannel(channel, signal),
    onEnd: ({ error }) => error && log.log("debug", `channel libvirt: ${messageOf(error)}`),
  });
}

async function uriThere(peer: DomainPeer, signal: AbortSignal): Promise<string> {
  try {
    return (await peer.describeDomainHost(signal)).uri;
  } catch (error) {
    // The check reports it, with all other problems.
    if (error instanceof RpcError) return DEFAULT_URI;
    throw error;
  }
}

function migrateOptions(words: readonly string[]) {
  try {
    return parseMigrateOptions(words);
  } catch (error) {
    if (!(error instanceof MigrateOptionError)) throw error;
    throw domainRefusal([{ code: "option-refused", side: "source", message: error.message }]);
  }
}
