import {
  type BytePipe,
  type Clock,
  DeadlineError,
  type Logger,
  messageOf,
  type Moves,
  printable,
  silentLogger,
  States,
  systemClock,
  withDeadline,
} from "../io/mod.ts";
import type { Commands } from "./commands.ts";
import { QmpClosedError, type QmpEnd, QmpError, QmpTimeoutError } from "./errors.ts";
import { MessagePipe } from "./message_pipe.ts";
import {
  eventOf,
  greetingOf,
  type Message,
  notQmp,
  parseMessage,
  type QemuVersion,
  type QmpEvent,
} from "./messages.ts";
import type { ExecuteOptions, OpenOptions } from "./options.ts";
import { PendingCommands } from "./pending.ts";

/** Why QEMU may not answer on a QMP socket. */
export const ONE_CLIENT: string = "a QMP socket serves one client at a time, " +
  "and another client (libvirt?) seems to use it. Close that client, or start QEMU with a second QMP socket";

type ClientState = "greeting" | "ready" | "closed";

const MOVES: Moves<ClientState> = {
  greeting: ["ready", "closed"],
  ready: ["closed"],
  closed: [],
};

/**
 * A client of one QMP socket (docs/interop/qmp-spec of QEMU). Owns the pipe. Answers are matched by
 * id; events never wait behind commands; a lost connection fails every waiting command with its
 * cause.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { FakeQemu } from "../../tests/support/fake_qemu.ts";
 * import { memoryPipe } from "../../tests/support/memory_pipe.ts";
 *
 * const [ours, theirs] = memoryPipe();
 * const qemu = new FakeQemu(theirs, {
 *   "query-status": () => ({ return: { status: "running", running: true } }),
 * });
 *
 * await using client = await QmpClient.open(ours);
 * assertEquals(client.version.major, 7);
 *
 * const events: string[] = [];
 * client.onEvent(({ event }) => events.push(event));
 * await qemu.say({ event: "STOP" });
 * const { status } = await client.execute("query-status", {});
 * assertEquals([status, events], ["running", ["STOP"]]);
 * ```
 */
export class QmpClient implements AsyncDisposable {
  readonly #messages: MessagePipe;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #commandTimeoutMs: number;
  readonly #states: States<ClientState>;
  readonly #pending = new PendingCommands();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting = Promise.withResolvers<Message>();
  readonly #closed = Promise.withResolvers<Error | undefined>();
  #failure: Error | undefined;
  /** Reason of QEMU's SHUTDOWN event. */
  #shutdown: string | undefined;
  #version: QemuVersion = { major: 0, minor: 0, micro: 0, package: "" };
  #commands: ReadonlySet<string> = new Set();
  #oob = false;

  private constructor(pipe: BytePipe, options: OpenOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#commandTimeoutMs = options.commandTimeoutMs ?? 60_000;
    this.#states = new States<ClientState>("qmp", "greeting", MOVES, this.#log);
    this.#greeting.promise.catch(() => {});
    this.#messages = new MessagePipe(pipe, {
      onLine: (line) => this.#dispatch(line),
      onReadEnd: (cause) => this.#lost(cause, cause === undefined),
      // A write to a QEMU that has closed its end may fail before the read sees the end.
      onWriteError: (cause) => this.#lost(cause, cause instanceof Deno.errors.BrokenPipe),
    });
    this.#messages.readAll();
  }

  /**
   * Waits for QEMU's greeting, negotiates, and asks for QEMU's version and commands. Takes ownership
   * of `pipe`.
   *
   * @throws {QmpError} code `no-greeting` when nothing came, `not-qmp` when something else did.
   * @throws {QmpClosedError} when the connection is over.
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

  /** Whether QEMU has this version or a later one; for features that QMP cannot list. */
  atLeast(major: number, minor: number): boolean {
    const { version } = this;
    return version.major > major || (version.major === major && version.minor >= minor);
  }

  /** Whether commands may be sent out of band (QEMU 3.0 or later, on a socket). */
  get oob(): boolean {
    return this.#oob;
  }

  /** Resolves when the connection is over: with the cause, or `undefined` after `close`. */
  get closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  /** Whether this QEMU has a command (`query-commands`). */
  hasCommand(name: string): boolean {
    return this.#commands.has(name);
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @throws {QmpCommandError} when QEMU refuses it; the message is QEMU's.
   * @throws {QmpTimeoutError} when no answer came in time.
   * @throws {QmpClosedError} when the connection is over.
   * @throws {RangeError} when 1024 commands wait for their answers.
   * @throws the signal's reason when it is aborted.
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
    const { id, answer, giveUp } = this.#pending.add(command);
    const onAbort = () => giveUp(options.signal!.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const timeoutMs = options.timeoutMs ?? this.#commandTimeoutMs;
    const cancel = this.#clock.after(
      timeoutMs,
      () => giveUp(new QmpTimeoutError(command, timeoutMs)),
    );
    if (this.#log.debugEnabled) this.#log.log("debug", `qmp -> ${command} (${id})`);
    const verb = options.oob && this.#oob ? "exec-oob" : "execute";
    const hasArgs = Object.keys(args).length > 0;
    // Short: QEMU reads byte by byte, each with a system call and a turn of its main loop.
    this.#messages.send({ [verb]: command, ...(hasArgs ? { arguments: args } : {}), id });
    try {
      return await answer;
    } finally {
      cancel();
      options.signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Calls `listener` with every event from now on. An error that it throws is logged.
   *
   * @returns a function that removes the listener.
   */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the connection. Commands that wait fail with {@link QmpClosedError}. */
  close(): void {
    this.#end(undefined);
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  async #negotiate(greetingTimeoutMs: number): Promise<void> {
    const greeting = await withDeadline(
      this.#clock,
      greetingTimeoutMs,
      "QEMU's greeting",
      this.#greeting.promise,
    ).catch((error) => {
      if (!(error instanceof DeadlineError)) throw error;
      throw new QmpError(
        "no-greeting",
        `QEMU sent no greeting within ${greetingTimeoutMs / 1000} s: ${ONE_CLIENT}`,
      );
    });
    // A QEMU that greets and hangs up at once is gone by now.
    if (this.#failure) throw this.#failure;
    const { capabilities } = greeting;
    this.#oob = Array.isArray(capabilities) && capabilities.includes("oob");
    this.#states.to("ready");
    await this.executeUntyped("qmp_capabilities", this.#oob ? { enable: ["oob"] } : {});
    const [version, commands] = await Promise.all([
      this.execute("query-version", {}),
      this.execute("query-commands", {}),
    ]);
    if (typeof version?.qemu?.major !== "number" || !Array.isArray(commands)) {
      throw new QmpError("not-qmp", "The peer greets like QEMU but does not know its version");
    }
    this.#version = { ...version.qemu, package: version.package };
    this.#commands = new Set(commands.map((c) => c?.name));
  }

  #dispatch(line: string): void {
    const message = parseMessage(line);
    if (this.#states.current === "greeting") {
      const greeting = greetingOf(message);
      if (!greeting) throw notQmp(line);
      return this.#greeting.resolve(greeting);
    }
    const event = eventOf(message);
    if (event) return this.#onEvent(event);
    const command = this.#pending.settle(message);
    if (!this.#log.debugEnabled) return;
    const id = printable(String(message.id), 40);
    // Errors without an id answer lines that QEMU could not parse.
    this.#log.log("debug", `qmp <- ${command ?? "an answer to no command"} (${id})`);
  }

  #onEvent(event: QmpEvent): void {
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

  #lost(cause: unknown, byQemu: boolean): void {
    if (cause instanceof QmpError) return this.#end(cause);
    const [end, why]: [QmpEnd, string] = this.#shutdown !== undefined
      ? ["shutdown", `QEMU shut down (${this.#shutdown})`]
      : byQemu
      ? ["by-qemu", "QEMU closed its QMP connection (has QEMU exited?)"]
      : ["broken", `The QMP connection was lost: ${messageOf(cause)}`];
    this.#end(new QmpClosedError(why, end, { cause }));
  }

  #end(cause: Error | undefined): void {
    if (this.#states.current === "closed") return;
    this.#states.to("closed");
    this.#failure = cause ?? new QmpClosedError("The QMP connection was closed here", "by-us");
    this.#messages.close();
    this.#greeting.reject(this.#failure);
    this.#pending.failAll(this.#failure);
    this.#listeners.clear();
    this.#closed.resolve(cause);
  }
}
