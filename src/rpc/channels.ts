/**
 * Streams with a name: `openTunnel` from both sides. A channel is what the serving end is willing
 * to connect a stream to; nothing else is reachable through the tunnel.
 *
 * @module
 */
import { type Acceptor, type BytePipe, type Logger, messageOf, TaskGroup } from "../io/mod.ts";
import {
  limits,
  type Session,
  splice,
  type SpliceResult,
  type TunnelStream,
} from "../tunnel/mod.ts";
import { RpcError, type RpcPeer } from "./peer.ts";

/**
 * Opens a stream to `channel` at the other end.
 *
 * @throws {RpcError} with the other end's reason when it can't or won't connect it.
 */
export async function openChannel(
  session: Session,
  rpc: RpcPeer,
  channel: string,
  signal?: AbortSignal,
): Promise<TunnelStream> {
  const stream = session.open();
  try {
    await rpc.call("openTunnel", { stream: stream.id, channel }, {
      timeoutMs: limits.OPEN_MS + session.patienceMs,
      progress: () => session.progress,
      ...(signal ? { signal } : {}),
    });
    return stream;
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    // Refused: the other end knows of no such stream. Else it may still come: tell it.
    if (error instanceof RpcError) session.abandon(stream, failure);
    else stream.reset("cancelled", failure.message);
    throw error;
  }
}

/** A stream that was joined to a socket has ended. */
export interface ChannelEnd extends SpliceResult {
  readonly channel: string;
}

export interface ChannelOptions {
  /**
   * The window of a stream to it grows from its smallest, however long the link, to no more than what
   * its reader uses up at once, and shrinks again: where what stands in a queue before a slow reader is
   * in the way of something else.
   */
  readonly narrow?: boolean;
}

interface ServedChannel extends Required<ChannelOptions> {
  readonly dial: () => Promise<BytePipe>;
}

/** Connects streams that the other end asks for; the `openTunnel` handler of the serving end. */
export class ChannelServer {
  readonly #session: Session;
  readonly #channels = new Map<string, ServedChannel>();
  readonly #tasks = new TaskGroup();
  readonly #onEnd: (end: ChannelEnd) => void;
  readonly #pipes = new Set<BytePipe>();
  readonly #dialing = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(session: Session, onEnd: (end: ChannelEnd) => void = () => {}) {
    this.#session = session;
    this.#onEnd = onEnd;
  }

  /** Makes `channel` reachable: each stream to it is joined to a pipe that `dial` makes. */
  serve(channel: string, dial: ServedChannel["dial"], options: ChannelOptions = {}): void {
    this.#channels.set(channel, { dial, narrow: false, ...options });
  }

  /** Nothing more can be reached; joined streams go on. */
  stop(): void {
    this.#stopped = true;
    this.#channels.clear();
  }

  /** Nothing more can be reached, and what is joined, or is being connected, is cut. */
  async cut(): Promise<void> {
    this.stop();
    for (const pipe of this.#pipes) pipe.close();
    await Promise.allSettled(this.#dialing);
  }

  /** Streams that are joined now. */
  get active(): number {
    return this.#tasks.size;
  }

  /** Answers `openTunnel`. The stream is registered first, so that a reset of it finds it. */
  async open(params: { stream: number; channel: string }): Promise<Record<never, never>> {
    const { channel } = params;
    const stream = this.#session.accept(params.stream);
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

/** Opens a stream to a channel; gives up when the signal is aborted. */
export type OpenStream = (channel: string, signal: AbortSignal) => Promise<TunnelStream>;

const CLOSED = "It was closed here";

/**
 * Opens a stream to `channel` for each connection that comes in, and joins the two. Owns the
 * acceptor.
 */
export class ChannelListener {
  readonly #acceptor: Acceptor;
  readonly #open: OpenStream;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #tasks = new TaskGroup();
  readonly #onEnd: (end: ChannelEnd) => void;
  readonly #pipes = new Set<BytePipe>();
  readonly #streams = new Set<TunnelStream>();
  readonly #closing = new AbortController();
  #count = 0;

  constructor(
    acceptor: Acceptor,
    channel: string,
    options: {
      readonly open: OpenStream;
      readonly log: Logger;
      readonly onEnd?: (end: ChannelEnd) => void;
    },
  ) {
    this.#acceptor = acceptor;
    this.#channel = channel;
    this.#open = options.open;
    this.#log = options.log;
    this.#onEnd = options.onEnd ?? (() => {});
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

  /** Cuts what is joined now, and goes on listening. */
  cutJoined(): void {
    for (const pipe of this.#pipes) pipe.close();
    for (const stream of this.#streams) stream.reset("cancelled", "It was cut here");
  }

  /** Stops listening, cuts what is joined, waits until all has ended. */
  async close(): Promise<void> {
    this.stop();
    this.#closing.abort(new Error(CLOSED));
    for (const pipe of this.#pipes) pipe.close();
    // What waits for the stream, and not for the pipe, is woken by this.
    for (const stream of this.#streams) stream.reset("cancelled", CLOSED);
    await this.#tasks.join();
  }

  /** Waits until all has ended; `stop` must have been called, or nothing ends. */
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
      this.#onEnd({ channel, ...await splice(stream, pipe) });
    } catch (error) {
      pipe.close();
      const failure = error instanceof Error ? error : new Error(messageOf(error));
      // Whoever opens it knows what that means; here it is one connection's end.
      this.#log.log("debug", `channel ${channel}: ${failure.message}`);
      this.#onEnd({ channel, sent: 0, received: 0, error: failure });
    } finally {
      this.#pipes.delete(pipe);
      if (stream) this.#streams.delete(stream);
    }
  }
}
