import {
  type BytePipe,
  type Clock,
  DeadlineError,
  LineSplitter,
  type Logger,
  messageOf,
  type Moves,
  printable,
  silentLogger,
  States,
  systemClock,
  withDeadline,
  writeAll,
} from "../io/mod.ts";
import type { Commands } from "./commands.ts";
import {
  QmpClosedError,
  QmpCommandError,
  type QmpEnd,
  QmpError,
  QmpTimeoutError,
} from "./errors.ts";

/** Commands that may wait for their answer at a time. */
export const MAX_IN_FLIGHT = 1024;

/** Why a QMP socket does not serve us. */
export const HELD = "a QMP socket serves one client at a time, and another client (libvirt?) " +
  "seems to hold it";

/** QEMU's version as `query-version` tells it. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  readonly package: string;
}

/** An event, as QEMU sent it. */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** QEMU's clock, ms since 1970. */
  readonly timestampMs: number;
}

export interface OpenOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** How long to wait for QEMU's greeting, ms. */
  readonly greetingTimeoutMs?: number;
  /** How long a command may take where it does not say so itself, ms. A busy QEMU needs long. */
  readonly commandTimeoutMs?: number;
}

export interface ExecuteOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Out of band: ahead of commands that are being carried out; only where `client.oob`. */
  readonly oob?: boolean;
}

interface Pending {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type ClientState = "greeting" | "ready" | "closed";

const MOVES: Moves<ClientState> = {
  greeting: ["ready", "closed"],
  ready: ["closed"],
  closed: [],
};

/**
 * A client of one QMP socket (docs/interop/qmp-spec of QEMU). Owns the pipe. Answers are matched by
 * id; events never wait behind commands; a lost connection wakes every waiter with its cause.
 */
export class QmpClient implements AsyncDisposable {
  readonly #pipe: BytePipe;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #commandTimeoutMs: number;
  readonly #states: States<ClientState>;
  readonly #pending = new Map<string, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting = Promise.withResolvers<Record<string, unknown>>();
  readonly #closed = Promise.withResolvers<Error | undefined>();
  #failure: Error | undefined;
  #shutdown: string | undefined;
  /** Commands that QEMU is to be told, as lines. */
  #unsent = "";
  #writing: Promise<void> | undefined;
  #lastId = 0;
  #version: QemuVersion = { major: 0, minor: 0, micro: 0, package: "" };
  #commands: ReadonlySet<string> = new Set();
  #oob = false;

  private constructor(pipe: BytePipe, options: OpenOptions) {
    this.#pipe = pipe;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 60_000;
    this.#states = new States<ClientState>("qmp", "greeting", MOVES, this.#log);
    this.#greeting.promise.catch(() => {});
    this.#readLoop();
  }

  /**
   * Speaks first with a QEMU at the other end of `pipe`, which is the client's from now on.
   *
   * @throws {QmpError} code `no-greeting` when nothing came, `not-qmp` when something else did.
   */
  static async open(pipe: BytePipe, options: OpenOptions = {}): Promise<QmpClient> {
    const client = new QmpClient(pipe, options);
    try {
      await client.#negotiate(options.greetingTimeoutMs ?? 5000);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** QEMU's version. */
  get version(): QemuVersion {
    return this.#version;
  }

  /** Whether QEMU is of this version, or of one after it. For what can't be asked of it. */
  atLeast(major: number, minor: number): boolean {
    const { version } = this;
    return version.major > major || (version.major === major && version.minor >= minor);
  }

  /** True when commands may be sent out of band. */
  get oob(): boolean {
    return this.#oob;
  }

  /** Resolves when the connection is over: with the cause, or `undefined` when we closed it. */
  get closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  /** Whether this QEMU knows a command. */
  hasCommand(name: string): boolean {
    return this.#commands.has(name);
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @throws {QmpCommandError} when QEMU refuses it; its message is QEMU's.
   * @throws {QmpTimeoutError} when no answer came in time.
   * @throws {QmpClosedError} when the connection is over; the signal's reason when aborted.
   */
  execute<C extends keyof Commands>(
    command: C,
    args: Commands[C]["args"],
    options: ExecuteOptions = {},
  ): Promise<Commands[C]["answer"]> {
    return this.executeUntyped(command, args, options) as Promise<Commands[C]["answer"]>;
  }

  /** As {@link execute}, for a command that {@link Commands} does not have. */
  async executeUntyped(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: ExecuteOptions = {},
  ): Promise<unknown> {
    options.signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    if (this.#pending.size >= MAX_IN_FLIGHT) {
      throw new RangeError(`${MAX_IN_FLIGHT} QMP commands wait for their answers`);
    }
    const number = ++this.#lastId;
    const id = String(number);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { command, resolve, reject });
    const onAbort = () => reject(options.signal!.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const timeoutMs = options.timeoutMs ?? this.#commandTimeoutMs;
    // The slot stays for the late answer; only the waiter goes.
    const cancel = this.#clock.after(
      timeoutMs,
      () => reject(new QmpTimeoutError(command, timeoutMs)),
    );
    if (this.#log.debugEnabled) this.#log.log("debug", `qmp -> ${command} (${id})`);
    const verb = options.oob && this.#oob ? "exec-oob" : "execute";
    const hasArgs = Object.keys(args).length > 0;
    // Short: QEMU reads what comes byte by byte, each with a system call and a turn of its loop.
    this.#send({ [verb]: command, ...(hasArgs ? { arguments: args } : {}), id: number });
    try {
      return await promise;
    } finally {
      cancel();
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Calls `listener` with every event from now on. Returns how to stop that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the connection. Commands that wait fail with {@link QmpClosedError}. */
  close(): void {
    this.#end(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  async #negotiate(greetingTimeoutMs: number): Promise<void> {
    let greeting: Record<string, unknown>;
    try {
      greeting = await withDeadline(
        this.#clock,
        greetingTimeoutMs,
        "QEMU's greeting",
        this.#greeting.promise,
      );
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new QmpError(
        "no-greeting",
        `QEMU sent no greeting within ${greetingTimeoutMs / 1000} s: ${HELD}`,
      );
    }
    // What greets and hangs up at once is over by now.
    if (this.#failure) throw this.#failure;
    const offered = greeting.capabilities;
    this.#oob = Array.isArray(offered) && offered.includes("oob");
    this.#states.to("ready");
    await this.executeUntyped("qmp_capabilities", this.#oob ? { enable: ["oob"] } : {});
    const [version, commands] = await Promise.all([
      this.execute("query-version", {}),
      this.execute("query-commands", {}),
    ]);
    if (typeof version?.qemu?.major !== "number" || !Array.isArray(commands)) {
      throw new QmpError("not-qmp", "What answers greets like QEMU and does not know its version");
    }
    this.#version = { ...version.qemu, package: version.package };
    this.#commands = new Set(commands.map((c) => c?.name));
  }

  #send(message: Record<string, unknown>): void {
    this.#unsent += `${JSON.stringify(message)}\n`;
    this.#writing ??= this.#write();
  }

  /** What is said while a write is under way goes out with the next one, as a whole. */
  async #write(): Promise<void> {
    try {
      while (this.#unsent !== "") {
        const bytes = new TextEncoder().encode(this.#unsent);
        this.#unsent = "";
        await writeAll(this.#pipe, bytes);
      }
    } catch (error) {
      this.#lost(error);
    } finally {
      this.#writing = undefined;
    }
  }

  async #readLoop(): Promise<void> {
    const lines = new LineSplitter();
    const buffer = new Uint8Array(65536);
    try {
      let n: number | null;
      while ((n = await this.#pipe.read(buffer)) !== null) {
        for (const line of lines.push(buffer.subarray(0, n))) {
          if (line.length > 0) this.#dispatch(line);
        }
      }
      this.#lost(undefined);
    } catch (error) {
      this.#lost(error);
    }
  }

  #dispatch(line: string): void {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(line);
    } catch {
      throw new QmpError("not-qmp", `This is no QMP socket: it said "${printable(line, 80)}"`);
    }
    if (this.#states.current === "greeting") {
      if (typeof message.QMP !== "object" || message.QMP === null) {
        throw new QmpError("not-qmp", `This is no QMP socket: it said "${printable(line, 80)}"`);
      }
      this.#greeting.resolve(message.QMP as Record<string, unknown>);
    } else if (typeof message.event === "string") {
      this.#onEvent(message);
    } else {
      this.#onAnswer(message);
    }
  }

  #onEvent(message: Record<string, unknown>): void {
    const { seconds = 0, microseconds = 0 } = (message.timestamp ?? {}) as {
      seconds?: number;
      microseconds?: number;
    };
    const event: QmpEvent = {
      event: message.event as string,
      data: (message.data ?? {}) as Record<string, unknown>,
      timestampMs: seconds * 1000 + microseconds / 1000,
    };
    if (event.event === "SHUTDOWN") this.#shutdown = String(event.data.reason ?? "unknown");
    if (this.#log.debugEnabled) this.#log.log("debug", `qmp <- event ${event.event}`);
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#log.log("warning", `a listener of QMP events failed: ${messageOf(error)}`);
      }
    }
  }

  #onAnswer(message: Record<string, unknown>): void {
    const id = String(message.id);
    const pending = this.#pending.get(id);
    if (!pending) {
      // Errors without an id answer what could not be parsed; there is nobody to tell.
      this.#log.log("debug", `qmp <- an answer that nobody waits for (${printable(id, 40)})`);
      return;
    }
    this.#pending.delete(id);
    if (this.#log.debugEnabled) this.#log.log("debug", `qmp <- ${pending.command} (${id})`);
    const error = message.error as { class?: string; desc?: string } | undefined;
    if (error === undefined) return pending.resolve(message.return);
    pending.reject(
      new QmpCommandError(
        pending.command,
        error.class ?? "GenericError",
        printable(error.desc ?? "QEMU gave no reason", 2000),
      ),
    );
  }

  #lost(cause: unknown): void {
    if (cause instanceof QmpError) return this.#end(cause);
    const [end, why]: [QmpEnd, string] = this.#shutdown !== undefined
      ? ["shutdown", `QEMU shut down (${this.#shutdown})`]
      : cause === undefined
      ? ["by-qemu", "QEMU closed its QMP connection (has QEMU exited?)"]
      : ["broken", `The QMP connection was lost: ${messageOf(cause)}`];
    this.#end(new QmpClosedError(why, end, { cause }));
  }

  #end(cause: Error | undefined): void {
    if (this.#states.current === "closed") return;
    this.#states.to("closed");
    this.#failure = cause ?? new QmpClosedError("The QMP connection was closed here", "by-us");
    this.#pipe.close();
    this.#greeting.reject(this.#failure);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    this.#listeners.clear();
    this.#closed.resolve(cause);
  }
}
