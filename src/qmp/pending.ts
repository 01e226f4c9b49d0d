import { errorOf, type Message } from "./messages.ts";

/** Commands that may wait for their answer at a time. */
export const MAX_IN_FLIGHT = 1024;

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A command that waits for its answer. */
export interface Waiting {
  /** Goes with the command to QEMU. */
  readonly id: number;
  /** Settles with the answer. */
  readonly answer: Promise<unknown>;
  /** Fails the wait. The entry stays until the answer comes, which is dropped then. */
  readonly giveUp: (reason: unknown) => void;
}

/** The commands of one connection that wait for their answers, by id. */
export class PendingCommands {
  readonly #pending = new Map<string, Pending>();
  #lastId = 0;

  /** @throws {RangeError} when {@link MAX_IN_FLIGHT} are waiting. */
  add(command: string): Waiting {
    if (this.#pending.size >= MAX_IN_FLIGHT) {
      throw new RangeError(`${MAX_IN_FLIGHT} QMP commands wait for their answers`);
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(String(id), { command, resolve, reject });
    return { id, answer: promise, giveUp: reject };
  }

  /**
   * Settles the command that the message answers.
   *
   * @returns its name; `undefined` when no command has that id.
   */
  settle(message: Message): string | undefined {
    const id = String(message.id);
    const pending = this.#pending.get(id);
    if (!pending) return undefined;
    this.#pending.delete(id);
    const error = errorOf(message, pending.command);
    if (error) pending.reject(error);
    else pending.resolve(message.return);
    return pending.command;
  }

  /** Fails all of them. */
  failAll(cause: Error): void {
    for (const pending of this.#pending.values()) pending.reject(cause);
    this.#pending.clear();
  }
}
