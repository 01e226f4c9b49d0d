import { type Clock, delay, messageOf, systemClock } from "../../io/mod.ts";
import { asMigrationError, compressionOf, type MigrationError } from "../../migrate/mod.ts";
import { openConnections } from "../../migrate/mod.ts";
import {
  type ChannelEnd,
  ChannelListener,
  ChannelServer,
  openChannel,
  RpcPeer,
} from "../../rpc/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import { type Session, SessionError } from "../../tunnel/mod.ts";
import type { Command } from "../args/mod.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { ListeningEnd } from "../endpoint/listening_end.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf } from "../output/result.ts";
import { listenFor, ownerFrom } from "../run/socket_owner.ts";
import { onSignals } from "../signals.ts";
import { UsageError } from "../args/usage_error.ts";

type Options = Command & { readonly command: "forward" };
type Listening = Extract<Options["mode"], { readonly to: unknown }>;
type Connecting = Extract<Options["mode"], { readonly from: unknown }>;

const clock: Clock = systemClock;

/** How long open streams may take to end after a signal, ms. */
const DRAIN_MS = 30_000;
/** First and longest wait before a new session is tried for one that was lost, ms. */
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 10_000;

/** Told to stop: `drain` lets open streams end, `cut` does not. */
interface Stop {
  readonly drain: AbortSignal;
  readonly cut: AbortSignal;
}

/** Carries named UNIX sockets through a tunnel. */
export async function forward(options: Options, output: Output): Promise<ExitCode> {
  const startedAt = clock.now();
  const drain = new AbortController();
  const cut = new AbortController();
  const stop: Stop = { drain: drain.signal, cut: cut.signal };
  let cancelDeadline = () => {};
  using _signals = onSignals((name) => {
    if (drain.signal.aborted) return cut.abort(new Error(`${name} came twice`));
    drain.abort(new Error(`Told to stop by ${name}`));
    cancelDeadline = clock.after(
      DRAIN_MS,
      () => cut.abort(new Error(`Streams were still open ${DRAIN_MS / 1000} s after ${name}`)),
    );
  });
  const totals = new Totals(output);
  let failure: MigrationError | undefined;
  try {
    const { mode } = options;
    if ("listen" in mode) await serve(options, mode, stop, output, totals);
    else await connect(options, mode, stop, output, totals);
  } catch (thrown) {
    if (!(thrown instanceof Error) || thrown instanceof UsageError) throw thrown;
    failure = asMigrationError(thrown, "from" in options.mode ? "source" : "destination");
  }
  cancelDeadline();
  output.report({
    event: "end",
    totalMs: Math.round(clock.now() - startedAt),
    streams: totals.streams,
    bytes: totals.bytes,
    ...compressionOf(totals.data.wire, totals.data.raw),
    error: failure?.reported ?? null,
  });
  if (failure) return exitCodeOf(failure);
  return options.once && totals.failed > 0 ? EXIT.failed : EXIT.done;
}

/** Counts and tells of streams that have ended. */
class Totals {
  streams = 0;
  failed = 0;
  bytes = 0;
  /** Payload of the sessions that have ended, bytes: as the streams had it, and as it crossed. */
  readonly data = { raw: 0, wire: 0 };
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Counts what a session carries, once it has ended. */
  watch(session: Session): void {
    session.ended.then(() => {
      this.data.raw += session.data.raw;
      this.data.wire += session.data.wire;
    });
  }

  readonly add = ({ channel, sent, received, error }: ChannelEnd): void => {
    this.streams++;
    this.bytes += sent + received;
    if (error) this.failed++;
    this.#output.report({
      event: "stream",
      channel,
      sent,
      received,
      error: error?.message ?? null,
    });
  };
}

// The end that listens

async function serve(
  options: Options,
  mode: Listening,
  stop: Stop,
  output: Output,
  totals: Totals,
): Promise<void> {
  // A ticket serves for as long as this end listens: sessions that were lost are made anew.
  using end = await ListeningEnd.prepare(mode.listen, options, output);
  await end.open();
  const open = new Map<Session, ChannelServer>();
  const firstEnd = Promise.withResolvers<SessionError | undefined>();
  const server = await end.serve((session) => {
    totals.watch(session);
    const channels = new ChannelServer(session, totals.add);
    for (const { name, path } of mode.to) channels.serve(name, () => connectUnix(path));
    const rpc = new RpcPeer(session.rpc, {
      clock,
      log: output.log,
      onFault: (error) => session.abort(error.message, "protocol-error"),
      handlers: { openTunnel: (params) => channels.open(params) },
    });
    open.set(session, channels);
    session.ended.then(async (cause) => {
      await channels.join();
      await rpc.join();
      open.delete(session);
      if (cause) output.log.log("warning", `a session ended: ${cause.message}`);
      firstEnd.resolve(cause);
    });
  });
  try {
    const stopped = aborted(stop.drain).then(() => undefined);
    const cause = await (options.once || mode.listen === "stdio"
      ? Promise.race([firstEnd.promise, stopped])
      : stopped);
    if (cause) {
      throw cause;
    }
  } finally {
    await server.close();
    await Promise.all([...open].map(async ([session, channels]) => {
      channels.stop();
      await Promise.race([channels.join(), aborted(stop.cut)]);
      if (stop.cut.aborted) session.abort(messageOf(stop.cut.reason), "stopped");
      await session.close();
    }));
  }
  if (stop.cut.aborted) throw stop.cut.reason;
}

// The end that connects

async function connect(
  options: Options,
  mode: Connecting,
  stop: Stop,
  output: Output,
  totals: Totals,
): Promise<void> {
  const socketOwner = await ownerFrom(options);
  const dial = await connector(mode.destination, options, output);
  const makeSession = async (signal: AbortSignal) => {
    const session = await dial(signal);
    totals.watch(session);
    return session;
  };
  let current = await openClient(makeSession, stop, output);
  const listeners: ChannelListener[] = [];
  const round = new Round(mode.from.map((s) => s.name));
  try {
    for (const { name, path } of mode.from) {
      const acceptor = await listenFor(path, socketOwner);
      listeners.push(
        new ChannelListener(acceptor, name, {
          open: async (channel, signal) => {
            round.begin(channel);
            return await openChannel(current.session, current.rpc, channel, signal);
          },
          log: output.log,
          onEnd: (end) => {
            totals.add(end);
            round.end();
          },
        }),
      );
      output.report({ event: "listening", address: acceptor.address });
    }
    const stopped = aborted(stop.drain).then(() => "stopped" as const);
    const over = options.once ? Promise.race([stopped, round.done]) : stopped;
    while (true) {
      const lost = current.session.ended;
      const next = await Promise.race([over, lost]);
      if (next === "stopped" || next === "round") break;
      const cause = next ?? new SessionError("closed", "The other end ended the session");
      if (options.once) throw cause;
      output.report({ event: "warning", code: "session-lost", message: cause.message });
      const again = await reopen(makeSession, stop, output);
      if (!again) break;
      current = again;
    }
  } finally {
    for (const listener of listeners) listener.stop();
    await Promise.race([Promise.all(listeners.map((l) => l.join())), aborted(stop.cut)]);
    await Promise.all(listeners.map((listener) => listener.close()));
    if (stop.cut.aborted) current.session.abort(messageOf(stop.cut.reason), "stopped");
    await current.session.close();
  }
  if (stop.cut.aborted) throw stop.cut.reason;
}

interface Client {
  readonly session: Session;
  readonly rpc: RpcPeer;
}

async function openClient(
  makeSession: (signal: AbortSignal) => Promise<Session>,
  stop: Stop,
  output: Output,
): Promise<Client> {
  const session = await makeSession(stop.drain);
  await openConnections(session, stop.drain).catch(async (error) => {
    await session.close();
    throw error;
  });
  const rpc = new RpcPeer(session.rpc, {
    clock,
    log: output.log,
    handlers: {},
    onFault: (error) => session.abort(error.message, "protocol-error"),
  });
  return { session, rpc };
}

/** A new session after one was lost; `undefined` when a signal came first. */
async function reopen(
  makeSession: (signal: AbortSignal) => Promise<Session>,
  stop: Stop,
  output: Output,
): Promise<Client | undefined> {
  for (let pause = RETRY_FIRST_MS; !stop.drain.aborted; pause *= 2) {
    try {
      return await openClient(makeSession, stop, output);
    } catch (error) {
      output.log.log("info", `no new session: ${messageOf(error)}`);
    }
    await delay(clock, Math.min(pause, RETRY_LONGEST_MS), stop.drain).catch(() => {});
  }
  return undefined;
}

/** Knows when each name was used and nothing is in use any more. */
class Round {
  readonly #unused: Set<string>;
  #active = 0;
  readonly #done = Promise.withResolvers<"round">();

  constructor(names: readonly string[]) {
    this.#unused = new Set(names);
  }

  get done(): Promise<"round"> {
    return this.#done.promise;
  }

  begin(name: string): void {
    this.#unused.delete(name);
    this.#active++;
  }

  end(): void {
    if (--this.#active === 0 && this.#unused.size === 0) this.#done.resolve("round");
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}
