/**
 * One session between two ends, one connection under it at a time, many byte streams in it.
 * The protocol is specified in docs/tunnel-protocol.md.
 *
 * @module
 */
export { type ConnectOptions, connectSession } from "./connect.ts";
export {
  ConnectionError,
  ProtocolError,
  SessionError,
  type SessionErrorCode,
  StreamResetError,
} from "./errors.ts";
export type { Local } from "./connection/handshake.ts";
export { successorSecret } from "./connection/credential.ts";
export * as limits from "./limits.ts";
export type { Liveness } from "./connection/connection.ts";
export { MAGIC as PREFACE } from "./wire/layout.ts";
export { type ServeOptions, SessionServer } from "./serve.ts";
export { Session } from "./session.ts";
export type { LinkChange, SessionState } from "./session_connection.ts";
export type { SessionOptions } from "./session_parts.ts";
export { splice, type SpliceResult } from "./stream/splice.ts";
export { TunnelStream } from "./stream/stream.ts";
