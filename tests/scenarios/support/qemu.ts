import { messageOf, systemClock, withDeadline } from "../../../src/io/mod.ts";
import { QmpClient, QmpClosedError, type QmpEvent } from "../../../src/qmp/mod.ts";
import { GUEST_STATE } from "../guest/mod.ts";
import { qemuBinary } from "../pair/versions.ts";
import { endChild, Output } from "./output.ts";
import { qemuArguments, type QemuOptions } from "./qemu_arguments.ts";
import { EventRecord, poll } from "./waiting.ts";

export {
  type Accelerator,
  accelerator,
  type BrokenSector,
  type Disk,
  type DiskBus,
  type QemuOptions,
} from "./qemu_arguments.ts";

/** A real QEMU with two QMP sockets: one for vmferry, one for the scenario. */
export class Qemu implements AsyncDisposable {
  readonly name: string;
  /** The QMP socket for vmferry. */
  readonly qmpSocket: string;
  /** All QMP events since the start. */
  readonly events = new EventRecord<QmpEvent>();
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Output;
  readonly #watch: QmpClient;
  readonly #log: string[] = [];
  #ended = false;
  #endedAtMs = Infinity;

  /**
   * Starts a QEMU and waits until it answers.
   *
   * @throws {Error} with QEMU's standard error, when it ends instead.
   */
  static async start(options: QemuOptions): Promise<Qemu> {
    const watchPath = `${options.dir}/${options.name}.watch.sock`;
    const qmpSocket = `${options.dir}/${options.name}.qmp.sock`;
    // QEMU connects to this socket, so there is nothing to poll.
    using listener = Deno.listen({ transport: "unix", path: watchPath });
    const [program, ...args] = [
      ...options.prefix ?? [],
      ...(options.logged
        ? ["sh", "-c", 'exec "$@" 2>>"$0"', `${options.dir}/${options.name}.log`]
        : []),
      options.binary ?? qemuBinary(options.incoming ? "dest" : "source"),
      ...qemuArguments(options, qmpSocket, watchPath),
    ];
    const child = new Deno.Command(program!, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Output(child.stderr);
    try {
      const gone = child.status.then(async ({ code }) => {
        await stderr.ended;
        throw new Error(`${options.name}: QEMU ended with ${code}: ${stderr.text.trim()}`);
      });
      const accepted = listener.accept();
      accepted.catch(() => {});
      const pipe = await withDeadline(
        systemClock,
        30_000,
        `${options.name}: QEMU's first sign of life`,
        Promise.race([accepted, gone]),
      );
      gone.catch(() => {});
      await Deno.remove(watchPath);
      const watch = await QmpClient.open(pipe, { greetingTimeoutMs: 30_000 });
      return new Qemu(options.name, qmpSocket, child, stderr, watch);
    } catch (error) {
      await endChild(child, 0);
      await stderr.ended;
      throw error;
    }
  }

  private constructor(
    name: string,
    qmpSocket: string,
    child: Deno.ChildProcess,
    stderr: Output,
    watch: QmpClient,
  ) {
    this.name = name;
    this.qmpSocket = qmpSocket;
    this.#child = child;
    this.#stderr = stderr;
    this.#watch = watch;
    watch.onEvent((event) => {
      this.#note(`event ${event.event} ${JSON.stringify(event.data)}`);
      this.events.add(event);
    });
    this.exited = child.status.then((status) => {
      this.#ended = true;
      this.#endedAtMs = Date.now();
      this.events.end(new Error(`${name}: QEMU ended with ${status.code}`));
      return status;
    });
  }

  /** Resolves when the process has ended. */
  readonly exited: Promise<Deno.CommandStatus>;

  get pid(): number {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** When it ended, ms since 1970, as in its events; `Infinity` while it runs. */
  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  /** Its standard error so far. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** QEMU's standard error and the scenario's QMP traffic, for the report of a failure. */
  get logs(): { title: string; text: string }[] {
    return [
      { title: `${this.name}: QEMU's stderr`, text: this.#stderr.text },
      { title: `${this.name}: QMP`, text: this.#log.slice(-200).join("\n") },
    ];
  }

  /** Executes a QMP command over the scenario's connection. */
  async execute<T>(command: string, args: object = {}): Promise<T> {
    // Frequent looks at the guest's RAM would push the relevant lines out of the log.
    if (command !== "human-monitor-command") this.#note(`-> ${command} ${JSON.stringify(args)}`);
    try {
      return await this.#watch.executeUntyped(command, { ...args }) as T;
    } catch (error) {
      this.#note(`<- ${command}: ${messageOf(error)}`);
      // QEMU closes its sockets shortly before its process ends.
      if (error instanceof QmpClosedError) await this.#end();
      throw error;
    }
  }

  /** Whether it has this version or a later one. */
  atLeast(major: number, minor: number): boolean {
    return this.#watch.atLeast(major, minor);
  }

  /**
   * Whether QEMU has ended or is about to: true at once when its QMP connection is closed.
   */
  async gone(): Promise<boolean> {
    try {
      if (!this.#ended) await this.status();
    } catch (error) {
      if (!this.#ended) throw error;
    }
    return this.#ended;
  }

  /** The run state, from `query-status`. */
  async status(): Promise<string> {
    return (await this.execute<{ status: string }>("query-status")).status;
  }

  /** A 32-bit number from the guest's RAM. */
  async peek(address: number): Promise<number> {
    const text = await this.execute<string>("human-monitor-command", {
      "command-line": `xp /1wx 0x${address.toString(16)}`,
    });
    const word = text.match(/: 0x([0-9a-f]{8})/)?.[1];
    if (word === undefined) throw new Error(`Got "${text.trim()}", expected a word of RAM`);
    return parseInt(word, 16);
  }

  /** The counter that the guest is writing. */
  async counter(): Promise<number> {
    return await this.peek(GUEST_STATE.counter);
  }

  /**
   * Waits until the guest has counted to `least`; returns the counter then.
   *
   * @throws {Error} when it has not counted for `stallMs`, ms.
   */
  async waitCounter(least: number, stallMs = 40_000): Promise<number> {
    const from = await this.counter();
    let [last, since] = [from, performance.now()];
    return await poll(`${this.name}: the guest to count to ${least}`, async () => {
      const counter = await this.counter();
      if (counter >= least) return counter;
      if (counter !== last) [last, since] = [counter, performance.now()];
      if (performance.now() - since < stallMs) return undefined;
      const status = await this.status();
      throw new Error(
        `${this.name}: the guest (${status}) stands at ${counter}, began at ${from}, expected ${least}`,
      );
    }, Infinity);
  }

  /** Ends QEMU by `quit`, so that its images are complete. */
  async quit(): Promise<void> {
    if (!this.#ended) {
      await this.execute("quit").catch(() => {});
      await this.#end();
    }
    await this[Symbol.asyncDispose]();
  }

  /**
   * Sends a signal: a process stopped by SIGSTOP answers nothing until SIGCONT; SIGTERM ends QEMU as its
   * host's shutdown does, with a line in its log.
   */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
    this.#child.kill(name);
  }

  /** Ends QEMU as a crash does. */
  async crash(): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close();
    await endChild(this.#child, 5000);
    await this.#stderr.ended;
    await Deno.remove(this.qmpSocket).catch(() => {});
  }

  async #end(): Promise<void> {
    await withDeadline(systemClock, 30_000, `${this.name}: QEMU to end`, this.exited);
  }

  #note(line: string): void {
    if (this.#log.length > 5000) this.#log.splice(0, 2500);
    this.#log.push(`${new Date().toISOString().slice(11, 23)} ${line.slice(0, 500)}`);
  }
}
