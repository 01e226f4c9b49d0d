import {
  type Acceptor,
  type BytePipe,
  type Clock,
  LineSplitter,
  type Logger,
  messageOf,
  TaskGroup,
  withDeadline,
  writeAll,
} from "../../io/mod.ts";
import type { StatusEvent } from "../output/events.ts";
import type { ReportData } from "../report/data.ts";
import {
  type Answer,
  ControlError,
  type InForce,
  MAX_REQUEST,
  parseRequest,
  type SetChange,
} from "./protocol.ts";
import type { Result } from "./status_board.ts";

/** The parts of a running migration that can be controlled. */
export interface Controlled {
  status(): StatusEvent;
  /** What a report of it would show; `undefined` where nothing keeps its history. */
  report(): ReportData | undefined;
  /**
   * Changes the limits; resolves with those that hold from now on.
   *
   * @throws {ControlError} when it can't be done any more.
   */
  set(change: SetChange): Promise<InForce>;
  /**
   * Asks it to end.
   *
   * @throws {ControlError} when it can't be done any more.
   */
  cancel(): void;
  /** How it ended, once it has. */
  readonly ended: Promise<Result>;
}

/** Connections at a time; the server closes any further one at once. */
const MAX_CONNECTIONS = 16;
/** How long a connection may be silent, or not take its answer, ms. */
const IDLE_MS = 30_000;
/** How long a client that waits for the end may take to read it, ms. */
const FAREWELL_MS = 2_000;

/** Answers requests of other processes of this user about one migration. */
export class ControlServer {
  readonly #controlled: Controlled;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tasks = new TaskGroup();
  readonly #open = new Set<BytePipe>();
  /** Connections whose request was `cancel`: they get the result, last of all. */
  readonly #farewells = new Set<BytePipe>();
  /** Connections that get the report when the migration has ended. */
  readonly #followers = new Set<BytePipe>();
  readonly #acceptor: Acceptor;

  /** Serves every connection; owns `acceptor` from now on. */
  constructor(acceptor: Acceptor, controlled: Controlled, clock: Clock, log: Logger) {
    this.#acceptor = acceptor;
    this.#controlled = controlled;
    this.#clock = clock;
    this.#log = log;
    this.#tasks.spawn(async () => {
      let pipe: BytePipe | undefined;
      while ((pipe = await acceptor.accept())) {
        const accepted = pipe;
        if (this.#open.size >= MAX_CONNECTIONS) accepted.close();
        else this.#tasks.spawn(() => this.#converse(accepted));
      }
    });
  }

  /** Accepts no more connections: another socket of this migration does. */
  stopAccepting(): void {
    this.#acceptor.close();
  }

  /**
   * Accepts no more connections, answers each `cancel` with the result, and closes. Call it when the
   * migration has left nothing: a client that has its answer may start the next one.
   */
  async close(): Promise<void> {
    this.#acceptor.close();
    if (this.#farewells.size > 0) {
      const result = await this.#controlled.ended;
      await Promise.all(
        [...this.#farewells].map((pipe) => this.#say(pipe, { result }, FAREWELL_MS)),
      );
    }
    await Promise.all([...this.#followers].map((pipe) => this.#sayReport(pipe, FAREWELL_MS)));
    for (const pipe of this.#open) pipe.close();
    await this.#tasks.join();
  }

  async #converse(pipe: BytePipe): Promise<void> {
    this.#open.add(pipe);
    try {
      const lines = new LineSplitter();
      const buffer = new Uint8Array(4096);
      while (true) {
        const n = await this.#read(pipe, buffer);
        if (n === null) return;
        for (const line of lines.push(buffer.subarray(0, n), MAX_REQUEST)) {
          await this.#answer(pipe, line);
        }
      }
    } catch (error) {
      // Closed, silent or too long a line: only this connection ends.
      this.#log.log("debug", `control: ${messageOf(error)}`);
    } finally {
      this.#open.delete(pipe);
      this.#farewells.delete(pipe);
      this.#followers.delete(pipe);
      pipe.close();
    }
  }

  /** A client that waits for the end of the migration may be silent until then. */
  async #read(pipe: BytePipe, buffer: Uint8Array): Promise<number | null> {
    if (this.#farewells.has(pipe) || this.#followers.has(pipe)) return await pipe.read(buffer);
    return await withDeadline(this.#clock, IDLE_MS, "a request", pipe.read(buffer));
  }

  async #answer(pipe: BytePipe, line: string): Promise<void> {
    try {
      const request = parseRequest(line);
      this.#log.log("debug", `control: ${request.command}`);
      switch (request.command) {
        case "status":
          return await this.#say(pipe, { result: this.#controlled.status() });
        case "report":
          if (request.atEnd) return void this.#followers.add(pipe);
          return await this.#sayReport(pipe, IDLE_MS);
        case "set":
          return await this.#say(pipe, { result: await this.#controlled.set(request) });
        case "cancel":
          this.#controlled.cancel();
          this.#farewells.add(pipe);
          return;
      }
    } catch (error) {
      const code = error instanceof ControlError ? error.code : "failed";
      await this.#say(pipe, { error: { code, message: messageOf(error) } });
    }
  }

  async #sayReport(pipe: BytePipe, ms: number): Promise<void> {
    const result = this.#controlled.report();
    const refusal = { code: "failed", message: "This run keeps no history" };
    await this.#say(pipe, result ? { result } : { error: refusal }, ms);
  }

  async #say(pipe: BytePipe, answer: Answer, ms = IDLE_MS): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
    await withDeadline(this.#clock, ms, "the answer to be taken", writeAll(pipe, bytes))
      .catch((error) => {
        this.#log.log("debug", `control: ${messageOf(error)}`);
        pipe.close();
      });
  }
}
