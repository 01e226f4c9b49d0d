import { type Acceptor, type Clock, type Logger, systemClock } from "../io/mod.ts";
import type { Report } from "../migrate/mod.ts";
import {
  connectSession,
  type Liveness,
  type Local,
  type Session,
  SessionServer,
} from "../tunnel/mod.ts";
import type { Address } from "./address.ts";
import type { CommonOptions, TunnelOptions } from "./args.ts";
import { dialer } from "./endpoint.ts";
import { LinkEvents } from "./link_events.ts";
import { readSecret } from "./secret.ts";
import { VERSION } from "./version.ts";

const clock: Clock = systemClock;

/** Who hears of what becomes of the link. */
interface Told {
  readonly report: Report;
  readonly log: Logger;
}

/** This end of a tunnel, from the command line. */
export async function localEnd(options: CommonOptions & TunnelOptions): Promise<Local> {
  const { secretFile, graceMs } = options;
  const secret = secretFile === undefined ? undefined : await readSecret(secretFile);
  return { secret, graceMs, version: VERSION };
}

/** When a connection is taken for dead; it is asked for a sign of life in good time before. */
function livenessOf({ deadAfterMs }: TunnelOptions): Liveness {
  return { pingAfterMs: Math.floor(deadAfterMs / 3), deadAfterMs };
}

/** Makes sessions to `address`; each tells of its link. */
export function connector(
  address: Address,
  local: Local,
  options: TunnelOptions,
  output: Told,
): (signal: AbortSignal) => Promise<Session> {
  return async (signal) => {
    const link = new LinkEvents(output.report, clock);
    const session = await connectSession({
      dial: dialer(address),
      local,
      clock,
      log: output.log,
      connectMs: options.connectMs,
      mayReconnect: true,
      signal,
      onAttempt: link.onAttempt,
      liveness: livenessOf(options),
      ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
    });
    link.watch(session);
    return session;
  };
}

/** Serves sessions on `acceptor`, which it owns; each tells of its link. */
export function sessionServer(
  acceptor: Acceptor,
  local: Local,
  options: TunnelOptions,
  output: Told,
  onSession: (session: Session) => void,
): SessionServer {
  return new SessionServer(acceptor, {
    local,
    clock,
    log: output.log,
    liveness: livenessOf(options),
    ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
    onSession(session) {
      new LinkEvents(output.report, clock).watch(session);
      onSession(session);
    },
  });
}
