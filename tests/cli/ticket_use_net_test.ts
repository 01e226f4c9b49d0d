import { assertEquals, assertRejects } from "@std/assert";
import { type Command, parseCommandLine } from "../../src/cli/args/mod.ts";
import { connector, type Told } from "../../src/cli/endpoint/connecting_end.ts";
import { ListeningEnd } from "../../src/cli/endpoint/listening_end.ts";
import { KeptTicket } from "../../src/cli/endpoint/ticket_use.ts";
import { silentLogger } from "../../src/io/mod.ts";
import { type Session, SessionError, type SessionServer } from "../../src/tunnel/mod.ts";
import { inDirectory } from "../support/in_directory.ts";

type Of<C> = Command & { readonly command: C };

const parse = <C extends Command["command"]>(command: C, ...rest: string[]) =>
  parseCommandLine([command, "--qmp", "/none", ...rest]) as Of<C>;

/** A `receive` that listens, as far as its ticket goes. */
class Receive implements Disposable {
  readonly #end: ListeningEnd;
  readonly #sessions: Session[] = [];
  #server: SessionServer | undefined;
  #address = "";

  /** @param kept what one before it kept, or a new one will. */
  static async start(kept: string): Promise<Receive> {
    const options = parse("receive", "--listen", "vmferry://127.0.0.1:0");
    const report: Told["report"] = (event) => {
      if (event.event === "listening") receive.#address = event.address;
    };
    const told = { report, log: silentLogger, line: () => {} };
    const receive: Receive = new Receive(await ListeningEnd.prepare(options.listen, options, told));
    await receive.#end.open(undefined, new KeptTicket(kept));
    receive.#server = await receive.#end.serve((session) => receive.#sessions.push(session));
    return receive;
  }

  private constructor(end: ListeningEnd) {
    this.#end = end;
  }

  /** With the ticket. */
  get address(): string {
    return this.#address;
  }

  /** What it does when the source of the latest session says `prepare`. */
  async claim(): Promise<void> {
    await this.#end.claim(this.#sessions.at(-1)!);
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.abort("killed", "stopped");
    this.#server?.close();
  }
}

/** A `migrate` that knows what one before it kept: makes sessions. */
async function source(address: string, kept: string): Promise<() => Promise<Session>> {
  const options = parse("migrate", address);
  const told: Told = { report: () => {}, log: silentLogger, line: () => {} };
  const use = { kept: () => new KeptTicket(kept) };
  const connect = await connector(options.destination, options, told, use);
  return () => connect(AbortSignal.timeout(10_000));
}

const lost = async (session: Session) => {
  session.abort("killed", "stopped");
  await session.ended;
};

Deno.test("the source that used a ticket can always come back, and nobody else", async () => {
  await inDirectory(async (dir) => {
    using receive = await Receive.start(`${dir}/destination`);
    const { address } = receive;
    const first = await source(address, `${dir}/source`);
    // Killed before its `prepare` came through; the next process resumes it.
    await lost(await first());
    const second = await source(address, `${dir}/source`);
    const session = await second();
    await receive.claim();
    await lost(session);
    await lost(await second());
    await lost(await (await source(address, `${dir}/source`))());
    const other = await source(address, `${dir}/other`);
    await assertRejects(other, SessionError, "ticket has already been used");
  });
});

Deno.test("the source can come back when both processes were killed in prepare", async () => {
  await inDirectory(async (dir) => {
    {
      using receive = await Receive.start(`${dir}/destination`);
      await (await source(receive.address, `${dir}/source`))();
      await receive.claim();
    }
    using receive = await Receive.start(`${dir}/destination`);
    const again = await source(receive.address, `${dir}/source`);
    const session = await again();
    await receive.claim();
    await lost(session);
    const next = await again();
    assertEquals(next.state, "up");
    await lost(next);
  });
});
