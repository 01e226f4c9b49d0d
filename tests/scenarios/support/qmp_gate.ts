import { LineSplitter } from "../../../src/io/line_splitter.ts";

/** A command that is kept from QEMU. */
export interface Held {
  /** Resolves when vmferry has sent it. */
  readonly arrived: Promise<void>;
  /** Passes it on, or lets it pass when it comes. */
  release(): void;
}

interface Hold extends Held {
  readonly command: string;
  readonly released: Promise<void>;
  arrive(): void;
  taken: boolean;
}

/**
 * Stands between vmferry and a QEMU's QMP socket, and keeps chosen commands back: the place where a
 * migration is, known for certain when something is done to it.
 */
export class QmpGate implements Disposable {
  /** Give it to vmferry as `--qmp`. */
  readonly path: string;
  readonly #target: string;
  readonly #listener: Deno.UnixListener;
  readonly #open = new Set<Deno.UnixConn>();
  readonly #holds: Hold[] = [];
  /** The commands that QEMU was given, in their order. */
  readonly commands: string[] = [];
  /** A word that vmferry does not find in QEMU's answers, as if QEMU were built without it. */
  hidden: string | undefined;

  constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#serve();
  }

  /** Keeps back the next `command` that comes; commands after it pass. */
  hold(command: string): Held {
    const arrived = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const hold = {
      command,
      arrived: arrived.promise,
      arrive: arrived.resolve,
      released: released.promise,
      release: released.resolve,
      taken: false,
    };
    this.#holds.push(hold);
    return hold;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    Deno.removeSync(this.path);
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      this.#carry(client).finally(() => {
        close(client);
        this.#open.delete(client);
      });
      this.#open.add(client);
    }
  }

  async #carry(client: Deno.UnixConn): Promise<void> {
    let qemu: Deno.UnixConn;
    try {
      qemu = await Deno.connect({ transport: "unix", path: this.#target });
    } catch {
      return; // QEMU is gone; vmferry sees a socket that closes
    }
    this.#open.add(qemu);
    const answers = this.#answer(qemu, client).catch(() => {});
    try {
      await this.#pass(client, qemu);
    } catch { /* one of the two went away */ }
    close(qemu);
    this.#open.delete(qemu);
    await answers;
  }

  async #answer(qemu: Deno.UnixConn, client: Deno.UnixConn): Promise<void> {
    const splitter = new LineSplitter();
    for await (const bytes of qemu.readable) {
      for (const line of splitter.push(bytes)) {
        const { hidden } = this;
        const passed = hidden ? line.replaceAll(`"${hidden}"`, '"hidden"') : line;
        await writeAll(client, `${passed}\n`);
      }
    }
    client.closeWrite().catch(() => {});
  }

  async #pass(client: Deno.UnixConn, qemu: Deno.UnixConn): Promise<void> {
    const splitter = new LineSplitter();
    const chunk = new Uint8Array(65536);
    let writes: Promise<unknown> = Promise.resolve();
    const pass = (line: string) => {
      const write = async () => {
        await writeAll(qemu, `${line}\n`);
        this.commands.push(/"(?:execute|exec-oob)":\s*"([^"]+)"/.exec(line)?.[1] ?? line);
      };
      writes = writes.then(write).catch(() => close(client));
    };
    while (true) {
      const n = await client.read(chunk);
      if (n === null) return await writes as void;
      for (const line of splitter.push(chunk.subarray(0, n))) {
        const hold = this.#holds.find((h) => !h.taken && line.includes(`"${h.command}"`));
        if (!hold) {
          pass(line);
          continue;
        }
        hold.taken = true;
        hold.arrive();
        hold.released.then(() => pass(line));
      }
    }
  }
}

async function writeAll(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* closed already */ }
}
