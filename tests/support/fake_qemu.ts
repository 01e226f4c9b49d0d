import { type BytePipe, writeAll } from "../../src/io/mod.ts";

/** An answer to a command: a value, an error of QEMU's, or nothing for now. */
export type Answer =
  | { readonly return: unknown }
  | { readonly error: { readonly class: string; readonly desc: string } }
  | undefined;

export type Commands = Readonly<Record<string, (args: Record<string, unknown>) => Answer>>;

const GREETING = {
  QMP: {
    version: { qemu: { micro: 15, minor: 2, major: 7 }, package: "Debian" },
    capabilities: ["oob"],
  },
};

/** QEMU's side of a QMP connection, as far as tests need it. */
export class FakeQemu {
  /** Commands in the order in which they came. */
  readonly received: { command: string; args: Record<string, unknown>; id: string }[] = [];
  readonly #pipe: BytePipe;
  readonly #commands: Commands;

  constructor(pipe: BytePipe, commands: Commands = {}, greeting: unknown = GREETING) {
    this.#pipe = pipe;
    this.#commands = {
      "qmp_capabilities": () => ({ return: {} }),
      "query-version": () => ({ return: { ...GREETING.QMP.version } }),
      "query-commands": () => ({ return: [{ name: "query-status" }] }),
      ...commands,
    };
    this.#serve(greeting).catch(() => {});
  }

  /** Sends a message that is no answer, such as an event. */
  async say(message: unknown): Promise<void> {
    await writeAll(this.#pipe, new TextEncoder().encode(JSON.stringify(message) + "\r\n"));
  }

  /** Answers a command that got no answer before. */
  async answer(command: string, answer: NonNullable<Answer>): Promise<void> {
    const { id } = this.received.findLast((c) => c.command === command)!;
    await this.say({ ...answer, id });
  }

  /** Hangs up. */
  close(): void {
    this.#pipe.close();
  }

  async #serve(greeting: unknown): Promise<void> {
    if (greeting !== null) await this.say(greeting);
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    let text = "";
    for (let n; (n = await this.#pipe.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) await this.#carryOut(JSON.parse(line));
    }
  }

  async #carryOut(message: Record<string, unknown>): Promise<void> {
    const command = String(message.execute ?? message["exec-oob"]);
    const args = (message.arguments ?? {}) as Record<string, unknown>;
    const id = String(message.id);
    this.received.push({ command, args, id });
    const handler = this.#commands[command];
    const answer: Answer = handler ? handler(args) : {
      error: { class: "CommandNotFound", desc: `The command ${command} has not been found` },
    };
    if (answer !== undefined) await this.say({ ...answer, id });
  }
}
