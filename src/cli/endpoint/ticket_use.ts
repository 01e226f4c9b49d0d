/**
 * A ticket is single-use, and the source that used it must be able to come back.
 *
 * @module
 */
import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { makeTicketIdentity, Ticket, type TicketIdentity } from "../../transport/mod.ts";
import { type Local, type Session, successorSecret } from "../../tunnel/mod.ts";
import { writePrivate } from "./private_file.ts";

/** What a run directory keeps of a ticket, for a process that takes the migration up. */
interface Kept {
  readonly successor?: string;
  readonly ticket?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
}

/** What it is called in a run directory. */
export const KEPT_TICKET = "ticket";

/** The file in a run directory (mode 0700, removed at the end) that keeps it, mode 0600. */
export class KeptTicket {
  readonly #path: string;

  /** @param path of the file, whether it is there or not. */
  constructor(path: string) {
    this.#path = path;
  }

  /** The secret that proves to be the source that used the ticket. */
  async loadSuccessor(): Promise<Uint8Array | undefined> {
    const { successor } = await this.load() ?? {};
    return successor === undefined ? undefined : decodeBase64(successor);
  }

  async saveSuccessor(successor: Uint8Array): Promise<void> {
    await this.save({ ...await this.load(), successor: encodeBase64(successor) });
  }

  async load(): Promise<Kept | undefined> {
    try {
      return JSON.parse(await Deno.readTextFile(this.#path)) as Kept;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async save(kept: Kept): Promise<void> {
    await writePrivate(this.#path, JSON.stringify(kept), "the run directory");
  }
}

/**
 * The listening end's side of a ticket: once a source has begun its migration with it, nobody is let
 * in by it any more, but the source that did can prove itself again.
 */
export class TicketUse {
  readonly ticket: Ticket;
  readonly identity: TicketIdentity;
  #successor: Uint8Array | undefined;
  #kept: KeptTicket | undefined;

  /** A fresh one, in memory. */
  static async make(): Promise<TicketUse> {
    const identity = await makeTicketIdentity();
    return new TicketUse(Ticket.make(identity.publicKey), identity, undefined);
  }

  private constructor(
    ticket: Ticket,
    identity: TicketIdentity,
    successor: Uint8Array | undefined,
  ) {
    this.ticket = ticket;
    this.identity = identity;
    this.#successor = successor;
  }

  /** What another process kept; `undefined` when there is nothing. */
  static async takeUp(kept: KeptTicket): Promise<TicketUse | undefined> {
    const { ticket: text, certificate, privateKey, successor } = await kept.load() ?? {};
    if (!text || !certificate || !privateKey) return undefined;
    const ticket = Ticket.parse(text);
    const { publicKey } = ticket;
    return new TicketUse(
      ticket,
      { publicKey, certificate, privateKey },
      successor === undefined ? undefined : decodeBase64(successor),
    );
  }

  /** Names the file that the ticket is kept in once it is used. */
  keepIn(kept: KeptTicket): void {
    this.#kept = kept;
  }

  /**
   * The source of `session` uses the ticket up. Where that was so already it has come back, and goes on
   * proving itself as it does.
   */
  async claim(session: Session): Promise<void> {
    if (this.#successor) return;
    this.#successor = await successorSecret(session.identity);
    const { certificate, privateKey } = this.identity;
    await this.#kept?.save({
      successor: encodeBase64(this.#successor),
      ticket: this.ticket.reveal(),
      certificate,
      privateKey,
    });
  }

  /** What this end brings to each handshake, at the time of that handshake. */
  local(rest: Pick<Local, "graceMs" | "version" | "decompress">): Local {
    const { ticket } = this;
    const successor = () => this.#successor;
    return {
      ...rest,
      binding: ticket.publicKey,
      get secret() {
        return successor() ?? ticket.secret;
      },
      get spent() {
        return successor() && ticket.secret;
      },
    };
  }
}
