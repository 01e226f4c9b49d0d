/**
 * Streams to named channels: `openTunnel` from both sides (docs/tunnel-protocol.md, section 8). The
 * serving end decides which channels exist; nothing else is reachable through the tunnel.
 *
 * @module
 */
import {
  abortable,
  type Acceptor,
  type BytePipe,
  type Logger,
  messageOf,
  TaskGroup,
} from "../io/mod.ts";
import type { Params } from "./procedures.ts";
import {
  limits,
  type Session,
  SessionError,
  splice,
  type SpliceResult,
  type TunnelStream,
} from "../tunnel/mod.ts";
import { RpcError, type RpcPeer } from "./peer.ts";

/** Where a stream goes in a session of several lanes: `first`, to the lane of the RPC. */
export type Where = "any" | "first";

/**
 * Opens a stream to `channel` at the other end.
 *
 * @param where default: in any lane; those that are not there yet are opened.
 * @throws {RpcError} with the other end's reason when it cannot or may not connect the stream.
 * @throws as {@link RpcPeer.call} and `Session.open`.
 */
export async function openChannel(
  session: Session,
  rpc: RpcPeer,
  channel: string,
  signal?: AbortSignal,
  where: Where = "any",
): Promise<TunnelStream> {
  if (where === "any" && session.mostLanes > 1) await lanesReady(session, signal);
  const stream = session.open(where);
  // An older peer does not send `lane`, and has one lane only.
  const on = stream.lane === 0 ? {} : { lane: stream.lane };
  const params = { stream: stream.id, channel, ...on } as Params<"openTunnel">;
  try {
    await rpc.call("openTunnel", params, {
      timeoutMs: limits.OPEN_MS + session.patienceMs,
      progress: () => session.progress,
      ...(signal ? { signal } : {}),
    });
    return stream;
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    // After a refusal the other end has no such stream. Else it may still open it: send a reset.
    if (error instanceof RpcError) session.abandon(stream, failure);
    else stream.reset("cancelled", failure.message);
    throw error;
  }
}

/**
 * Waits until the lanes are there and nothing old can arrive on one of them behind the bytes of a new
 * stream on another: a program that connects again must not be overtaken by what it wrote before. A session
 * that replaces another one goes on with the lanes that it gets; the next stream tries again.
 */
async function lanesReady(session: Session, signal: AbortSignal | undefined): Promise<void> {
  const lanes = session.openLanes().catch((error) => {
    const isUnreachable = error instanceof SessionError && error.code === "unreachable";
    if (!isUnreachable || session.first.state === "ended") throw error;
  });
  const ready = lanes.then(() => session.resetsDelivered());
  await (signal ? abortable(ready, signal) : ready);
}

/** The end of a stream that was joined to a socket. */
export interface ChannelEnd extends SpliceResult {
  /** The channel's name. */
  readonly channel: string;
}

/** How to serve a channel. */
export interface ChannelOptions {
  /**
   * Keeps the window of its streams as small as the reader allows, because queued bytes add to the
   * downtime (`TunnelStream.narrowWindow`). Default: false.
   */
  readonly narrow?: boolean;
}

/** A channel that can be reached. */
export interface ServedChannel extends Required<ChannelOptions> {
  /** Makes the pipe that a stream is joined to. */
  readonly dial: () => Promise<BytePipe>;
}

/** The parameters of `openTunnel`. */
export type OpenParams = Omit<Params<"openTunnel">, "lane"> & {
  readonly lane?: number | null;
};

/** Connects streams that the other end opens; the `openTunnel` handler of the serving end. */
export class ChannelServer {
  readonly #session: Session;
  readonly #channels = new Map<string, ServedChannel>();
  readonly #tasks = new TaskGroup();
  readonly #onEnd: (end: ChannelEnd) => void;
  readonly #pipes = new Set<BytePipe>();
  readonly #dialing = new Set<Promise<unknown>>();
  #stopped = false;

  /** `onEnd` is called for each joined stream that has ended. */
  constructor(session: Session, onEnd: (end: ChannelEnd) => void = () => {}) {
    this.#session = session;
    this.#onEnd = onEnd;
  }

  /** Makes `channel` reachable: each stream to it is joined to a pipe that `dial` makes. */
  serve(channel: string, dial: ServedChannel["dial"], options: ChannelOptions = {}): void {
    this.#channels.set(channel, { dial, narrow: false, ...options });
  }

  /** Refuses new streams; joined ones go on. */
  stop(): void {
    this.#stopped = true;
    this.#channels.clear();
  }

  /** Refuses new streams and cuts those that are joined or being connected. */
  async cut(): Promise<void> {
    this.stop();
    for (const pipe of this.#pipes) pipe.close();
    await Promise.allSettled(this.#dialing);
  }

  /** Streams that are joined now. */
  get active(): number {
    return this.#tasks.size;
  }

  /**
   * Answers `openTunnel`. Accepts the stream before it dials, so that a reset finds the stream.
   *
   * @throws {RpcError} code `unknown-channel`, or `failed` when the channel was closed meanwhile.
   * @throws as `dial` and `Session.accept`.
   */
  async open(params: OpenParams): Promise<Record<never, never>> {
    const { channel } = params;
    const stream = this.#session.accept(params.stream, params.lane ?? 0);
    try {
      const served = this.#channels.get(channel);
      if (!served) {
        const known = [...this.#channels.keys()].join(", ") || "none";
        throw new RpcError("unknown-channel", `Got channel "${channel}", served here: ${known}`);
      }
      const pipe = await this.#dialed(served.dial());
      if (this.#stopped || stream.failure) {
        pipe.close();
        throw stream.failure ?? new RpcError("failed", `Channel "${channel}" is closed`);
      }
      this.#pipes.add(pipe);
      if (served.narrow) stream.narrowWindow();
      else stream.widenWindow();
      this.#tasks.spawn(async () => {
        const end = await splice(stream, pipe);
        this.#pipes.delete(pipe);
        this.#onEnd({ channel, ...end });
      });
      return {};
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(messageOf(error));
      this.#session.abandon(stream, failure);
      throw error;
    }
  }

  async #dialed(dialing: Promise<BytePipe>): Promise<BytePipe> {
    this.#dialing.add(dialing);
    try {
      return await dialing;
    } finally {
      this.#dialing.delete(dialing);
    }
  }

  /** Waits until every joined stream has ended. */
  async join(): Promise<void> {
    await this.#tasks.join();
  }
}

/** Opens a stream to a channel; rejects with the signal's reason when that is aborted. */
export type OpenStream = (channel: string, signal: AbortSignal) => Promise<TunnelStream>;

const CLOSED = "It was closed here";

/** Opens a stream to a channel for each accepted connection and joins the two. Owns the acceptor. */
export class ChannelListener {
  readonly #acceptor: Acceptor;
  readonly #open: OpenStream;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #tasks = new TaskGroup();
  readonly #join: typeof splice;
  readonly #onEnd: (end: ChannelEnd) => void;
  readonly #pipes = new Set<BytePipe>();
  readonly #streams = new Set<TunnelStream>();
  readonly #closing = new AbortController();
  #count = 0;

  /** Starts to accept connections. */
  constructor(
    acceptor: Acceptor,
    channel: string,
    options: {
      readonly open: OpenStream;
      readonly log: Logger;
      readonly onEnd?: (end: ChannelEnd) => void;
      /** Joins a connection and its stream, and owns both. Default: bytes both ways. */
      readonly join?: typeof splice;
    },
  ) {
    this.#acceptor = acceptor;
    this.#channel = channel;
    this.#open = options.open;
    this.#log = options.log;
    this.#onEnd = options.onEnd ?? (() => {});
    this.#join = options.join ?? splice;
    this.#tasks.spawn(() => this.#acceptLoop());
  }

  /** Connections accepted so far. */
  get count(): number {
    return this.#count;
  }

  /** Connections that are joined to a stream now, or about to be. */
  get active(): number {
    return this.#pipes.size;
  }

  /** Stops listening. Joined streams go on. */
  stop(): void {
    this.#acceptor.close();
  }

  /** Cuts the joined streams and goes on listening. */
  cutJoined(): void {
    for (const pipe of this.#pipes) pipe.close();
    for (const stream of this.#streams) stream.reset("cancelled", "It was cut here");
  }

  /** Stops listening, cuts the joined streams, and waits until all have ended. */
  async close(): Promise<void> {
    this.stop();
    this.#closing.abort(new Error(CLOSED));
    for (const pipe of this.#pipes) pipe.close();
    // Wakes the splices that wait for the stream and not for the pipe.
    for (const stream of this.#streams) stream.reset("cancelled", CLOSED);
    await this.#tasks.join();
  }

  /** Waits until every stream has ended; call `stop` first. */
  async join(): Promise<void> {
    await this.#tasks.join();
  }

  async #acceptLoop(): Promise<void> {
    while (true) {
      const pipe = await this.#acceptor.accept();
      if (!pipe) return;
      this.#count++;
      this.#pipes.add(pipe);
      this.#tasks.spawn(() => this.#serve(pipe));
    }
  }

  async #serve(pipe: BytePipe): Promise<void> {
    const channel = this.#channel;
    let stream: TunnelStream | undefined;
    try {
      stream = await this.#open(channel, this.#closing.signal);
      this.#streams.add(stream);
      if (this.#closing.signal.aborted) stream.reset("cancelled", CLOSED);
      stream.widenWindow();
      this.#onEnd({ channel, ...await this.#join(stream, pipe) });
    } catch (error) {
      pipe.close();
      const failure = error instanceof Error ? error : new Error(messageOf(error));
      // The opener reports what it means; here it ends one connection.
      this.#log.log("debug", `channel ${channel}: ${failure.message}`);
      this.#onEnd({ channel, sent: 0, received: 0, error: failure });
    } finally {
      this.#pipes.delete(pipe);
      if (stream) this.#streams.delete(stream);
    }
  }
}
