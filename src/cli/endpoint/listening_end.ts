import { type Acceptor, type Clock, systemClock } from "../../io/mod.ts";
import { limits, type Session, SessionServer } from "../../tunnel/mod.ts";
import { type Address, formatAddress, type Listen, listenerOf } from "../../transport/mod.ts";
import { type EndOptions, livenessOf, secretOf, type Told, warnOf } from "./connecting_end.ts";
import { compressionOf } from "./compression.ts";
import { inputFrom } from "./input_error.ts";
import { LinkEvents } from "../output/link_events.ts";
import { readPrivate, writePrivate } from "./private_file.ts";
import { type KeptTicket, TicketUse } from "./ticket_use.ts";
import { VERSION } from "../version.ts";

const clock: Clock = systemClock;

/** The listening end of a tunnel, from the command line. */
export class ListeningEnd implements Disposable {
  /** How long it keeps a session without a connection, ms. */
  readonly graceMs: number;
  readonly #options: EndOptions;
  readonly #told: Told;
  readonly #secret: Uint8Array | undefined;
  readonly #listen: Listen<Address | "stdio">;
  #where: Address | "stdio";
  #use: TicketUse | undefined;
  /** The ticket is for any number of sources. */
  #reusable = false;
  #acceptor: Acceptor | undefined;

  /**
   * Checks that the address is safe to listen on, and reads what listening takes.
   *
   * @throws {UsageError} when it is not safe, or a secret or a certificate can't be read.
   */
  static async prepare(
    where: Address | "stdio",
    options: EndOptions,
    told: Told,
  ): Promise<ListeningEnd> {
    if (where !== "stdio") {
      warnOf(where, options, told.report);
    }
    const transport = listenerOf(where);
    if (!transport.authenticates && options.secretFile === undefined) {
      told.report({ event: "warning", code: "not-authenticated", message: NOT_AUTHENTICATED });
    }
    // Parsing refuses an address on which nothing can listen.
    const listen = await inputFrom(() =>
      transport.prepareListen!({
        flags: options.transportFlags,
        readPrivate,
        warn: (message) => told.log.log("warning", message),
      })
    );
    return new ListeningEnd(where, options, told, await secretOf(options), listen);
  }

  private constructor(
    where: Address | "stdio",
    options: EndOptions,
    told: Told,
    secret: Uint8Array | undefined,
    listen: Listen<Address | "stdio">,
  ) {
    this.graceMs = listenerOf(where).mayReconnect ? options.graceMs : 0;
    this.#where = where;
    this.#options = options;
    this.#told = told;
    this.#secret = secret;
    this.#listen = listen;
  }

  /**
   * Listens.
   *
   * @param again the address to listen on instead, which another process has chosen before.
   * @param kept where a single-use ticket is kept; one that is there already is used again. Without it
   * the ticket is for any number of sources, for as long as this end listens.
   */
  async open(again?: Address, kept?: KeptTicket): Promise<void> {
    if (again) this.#where = again;
    let where = this.#where;
    if (where !== "stdio" && where.transport === "ticket") {
      this.#use = kept && await TicketUse.takeUp(kept) || await TicketUse.make();
      if (kept) this.#use.keepIn(kept);
      this.#reusable = kept === undefined;
      where = { ...where, identity: this.#use.identity };
    }
    this.#acceptor = await this.#listen(where);
  }

  /** Where it listens, with the port that was chosen, without any ticket. */
  get address(): string {
    return this.#acceptor!.address;
  }

  /** Resolves when no further connection can come; it never does where one always can. */
  get over(): Promise<void> {
    return this.#acceptor?.over ?? Promise.race<void>([]);
  }

  /** A source begins its migration in `session`: a ticket is good for nobody else from then on. */
  async claim(session: Session): Promise<void> {
    await this.#use?.claim(session);
  }

  /** Says where it listens and serves sessions; the server owns what listens from then on. */
  async serve(onSession: (session: Session) => void): Promise<SessionServer> {
    await this.#announce();
    const acceptor = this.#acceptor!;
    const { report, log } = this.#told;
    const { inFlight } = this.#options;
    const { decompress, compression } = await compressionOf(this.#options, log);
    const lanes = listenerOf(this.#where).mayReconnect ? limits.MAX_LANES : 1;
    const rest = { graceMs: this.graceMs, version: VERSION, decompress, lanes };
    return new SessionServer(acceptor, {
      local: this.#use?.local(rest) ?? { ...rest, secret: this.#secret },
      clock,
      log,
      compression,
      liveness: livenessOf(this.#options),
      ...(inFlight === undefined ? {} : { inFlight }),
      onSession: (session) => {
        new LinkEvents(report, clock).watch(session);
        onSession(session);
      },
    });
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    this.#acceptor?.close();
  }

  async #announce(): Promise<void> {
    const { report } = this.#told;
    const where = this.#where;
    if (!this.#use || where === "stdio" || where.transport !== "ticket") {
      return report({ event: "listening", address: this.address });
    }
    const port = Number(/\d+$/.exec(this.address)![0]);
    const host = ["0.0.0.0", "::"].includes(where.host) ? Deno.hostname() : where.host;
    const address = formatAddress({ ...where, host, port });
    const line = `${address}/${this.#use.ticket.reveal()}`;
    const file = this.#options.ticketFile;
    const reusable = this.#reusable ? { reusable: true } as const : {};
    if (file === undefined) return report({ event: "listening", address: line, ...reusable });
    await writePrivate(file, `${line}\n`, "--ticket-file");
    report({ event: "listening", address, ticketFile: file, ...reusable });
  }
}

const NOT_AUTHENTICATED =
  "every user of this host can connect: give --secret-file on both ends, or " +
  "listen on a unix:// socket";
