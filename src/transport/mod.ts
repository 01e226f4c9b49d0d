/**
 * What a tunnel, a QMP connection or a mirror can run over.
 *
 * @module
 */
export { TransportError } from "./errors.ts";
export { connectSsh, sshEnded, type SshOptions } from "./ssh/ssh.ts";
export { stdioPipe } from "./stdio.ts";
export {
  makeTicketIdentity,
  PUBLIC_KEY_LENGTH,
  type TicketIdentity,
} from "./ticket/self_signed.ts";
export { connectTcp, listenTcp } from "./tcp.ts";
export { connectTls, listenTls, type TlsCredentials } from "./tls/tls.ts";
export { connectTicket, listenTicket } from "./ticket/ticket.ts";
export { connectUnix, listenUnix } from "./unix.ts";
