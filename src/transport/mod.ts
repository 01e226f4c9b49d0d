/**
 * What a session, a QMP connection or a mirror can run over. Imports `io` alone.
 *
 * @module
 */
export { InputError, TransportError } from "./errors.ts";
export { formatHostPort, isLoopback } from "./host.ts";
export { sshEnded } from "./ssh/ssh.ts";
export {
  type Address,
  formatAddress,
  listenerOf,
  parseAddress,
  splitAddress,
  transportOf,
  TRANSPORTS,
  withoutSecret,
} from "./table.ts";
export { connectTcp, listenTcp } from "./tcp.ts";
export { makeTicketIdentity, type TicketIdentity } from "./ticket/self_signed.ts";
export { Ticket } from "./ticket/ticket.ts";
export type {
  AddressedTransport,
  CarryProgress,
  ClosedMode,
  DialContext,
  End,
  FlagValues,
  Listen,
  ListenContext,
  OwnFile,
  OwnProgram,
  ReadPrivate,
  Transport,
  TransportFlag,
} from "./transport.ts";
export { checkSocketPath, connectUnix, listenUnix, parseSocketPath } from "./unix.ts";
