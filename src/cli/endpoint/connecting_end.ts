import { type Clock, type Logger, systemClock } from "../../io/mod.ts";
import type { Report } from "../../migrate/mod.ts";
import {
  type ConnectOptions,
  connectSession,
  limits,
  type Liveness,
  PREFACE,
  type Session,
  SessionError,
  successorSecret,
} from "../../tunnel/mod.ts";
import { type Address, type DialContext, transportOf } from "../../transport/mod.ts";
import type { CommonOptions } from "../args/common.ts";
import type { Destination } from "../args/ends.ts";
import type { TunnelOptions } from "../args/tunnel.ts";
import { checkSafety } from "./safety.ts";
import { compressionOf } from "./compression.ts";
import { inputFrom } from "./input_error.ts";
import { CarryEvents } from "../output/carry_events.ts";
import { LinkEvents } from "../output/link_events.ts";
import { ownProgram } from "./own_program.ts";
import { readSecret } from "./secret.ts";
import { readTicket } from "./ticket_file.ts";
import type { KeptTicket } from "./ticket_use.ts";
import { readPrivate } from "./private_file.ts";
import { UsageError } from "../args/usage_error.ts";
import { VERSION } from "../version.ts";

const clock: Clock = systemClock;

export type EndOptions = CommonOptions & TunnelOptions;

/** What gets the reports about a connection. */
export interface Told {
  readonly report: Report;
  readonly log: Logger;
  /** Prints a line that another host's programs wrote. */
  readonly line: (text: string) => void;
}

/** Silence after which a connection counts as dead, ms; a PING goes out after a third of it. */
export function livenessOf({ deadAfterMs }: TunnelOptions): Liveness {
  return { pingAfterMs: Math.floor(deadAfterMs / 3), deadAfterMs };
}

/**
 * Warns of an address that is not safe and that the user allowed.
 *
 * @throws {UsageError} when the user did not allow it.
 */
export function warnOf(address: Address, options: EndOptions, report: Report): void {
  const hasKeys = transportOf(address).encryption === "in-process";
  if (hasKeys && Deno.env.get("SSLKEYLOGFILE")) throw new UsageError(KEY_LOG);
  const warning = checkSafety(address, options);
  if (warning) report({ event: "warning", code: "not-encrypted", message: warning });
}

/** The secret of `--secret-file`, if there is one. */
export async function secretOf({ secretFile }: CommonOptions): Promise<Uint8Array | undefined> {
  return secretFile === undefined ? undefined : await readSecret(secretFile);
}

/** What a source needs to use a single-use ticket. */
export interface OneUse {
  /** Where the credential of the source that used it is kept; called when it is needed. */
  readonly kept: () => KeptTicket | undefined;
}

/**
 * Makes sessions to a destination; each reports the state of its connection.
 *
 * @param use how a single-use ticket is used; without it, the peer takes the ticket more than once.
 * @throws {UsageError} when the address is not safe, or a secret can't be read.
 */
export async function connector(
  given: Destination,
  options: EndOptions,
  told: Told,
  use?: OneUse,
): Promise<(signal: AbortSignal) => Promise<Session>> {
  const address = given.transport === "ticket-file" ? await readTicket(given) : given;
  warnOf(address, options, told.report);
  const ticket = address.transport === "ticket" ? address.ticket : undefined;
  if (ticket && given.transport !== "ticket-file") {
    told.report({ event: "warning", code: "ticket-in-argv", message: IN_ARGV });
  }
  const transport = transportOf(address);
  const context: DialContext = {
    flags: options.transportFlags,
    readPrivate,
    preface: { bytes: PREFACE, maxBanner: limits.MAX_BANNER },
    peerArgs: options.peerArgs,
    onLine: told.line,
    program: ownProgram(),
    onCarry: new CarryEvents(told.report, clock).onProgress,
  };
  const dial = await inputFrom(() => transport.prepareDial(address, context));
  const { decompress, compression } = await compressionOf(options, told.log);
  const open =
    (link: LinkEvents, proof: Pick<ConnectOptions["local"], "secret" | "binding">) =>
    (signal: AbortSignal) =>
      connectSession({
        dial,
        local: {
          ...{ ...proof, graceMs: options.graceMs, version: VERSION, decompress },
          lanes: options.connections,
        },
        compression,
        clock,
        log: told.log,
        connectMs: Math.max(options.connectMs, transport.leastConnectMs),
        mayReconnect: transport.mayReconnect,
        signal,
        onAttempt: link.onAttempt,
        liveness: livenessOf(options),
        ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
      });
  const secret = await secretOf(options);
  let successor: Uint8Array | undefined;
  let opened = 0;
  return async (signal) => {
    const link = new LinkEvents(told.report, clock);
    if (!transport.mayReconnect && opened++ > 0 && use) {
      throw new SessionError("unreachable", GONE);
    }
    if (!ticket) return watched(link, await open(link, { secret })(signal));
    const binding = ticket.publicKey;
    successor ??= await use?.kept()?.loadSuccessor();
    const { session, secret: taken } = await firstThatIsTaken(
      [successor, ticket.secret],
      (secret) => open(link, { secret, binding })(signal),
    );
    // An earlier session may have ended before the other end knew it for the one that uses the ticket.
    if (use && taken === ticket.secret) {
      successor = await successorSecret(session.identity);
      await use.kept()?.saveSuccessor(successor);
    }
    return watched(link, session);
  };
}

/** A ticket may have been used by this source, or not yet. */
async function firstThatIsTaken(
  secrets: readonly (Uint8Array | undefined)[],
  open: (secret: Uint8Array) => Promise<Session>,
): Promise<{ session: Session; secret: Uint8Array }> {
  let refusal: unknown;
  for (const secret of secrets) {
    if (!secret) continue;
    try {
      return { session: await open(secret), secret };
    } catch (error) {
      if (!(error instanceof SessionError && error.refusal === "wrong-secret")) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function watched(link: LinkEvents, session: Session): Session {
  link.watch(session);
  return session;
}

const GONE = "The destination's vmferry ended with its connection and can't be asked";
const KEY_LOG =
  "SSLKEYLOGFILE is set in the environment: the keys of the connection would be written there; unset it";
const IN_ARGV =
  "the ticket stands in the command line, where other users of this host can see it: " +
  "give it with --ticket-file FILE, or '-' as DESTINATION and paste it";
