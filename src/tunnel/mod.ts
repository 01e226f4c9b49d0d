/**
 * One session between two ends, one connection under it at a time, many byte streams in it
 * (docs/tunnel-protocol.md).
 *
 * `connectSession` and `SessionServer` open a {@link Session}; `splice` joins one of its streams to a
 * socket. {@link limits} has every bound.
 *
 * @module
 */
export type { Compressed, Compression, Compressor } from "./compress/compressor.ts";
export { WorkerCompressor, type WorkerCompressorOptions } from "./compress/worker_compressor.ts";
export { type Decompress, loadDecompress } from "./compress/zstd.ts";
export { type ConnectOptions, connectSession } from "./connect.ts";
export type { FrameBuffer, ReadBuffer } from "./connection/buffers.ts";
export type { Liveness } from "./connection/connection.ts";
export { successorSecret } from "./connection/credential.ts";
export type { Local, Resumable, SessionIdentity } from "./connection/handshake.ts";
export {
  ConnectionError,
  ProtocolError,
  SessionError,
  type SessionErrorCode,
  StreamResetError,
} from "./errors.ts";
export { Lane } from "./lane.ts";
export * as limits from "./limits.ts";
export type { Piece } from "./receive/pieces.ts";
export type { OutFrame } from "./send/out_frame.ts";
export { type ServeOptions, SessionServer } from "./serve.ts";
export { Session } from "./session.ts";
export type { LinkChange, SessionState } from "./session_connection.ts";
export type { LaneOptions, SessionOptions } from "./session_parts.ts";
export type { ReceiverHost } from "./stream/receiver.ts";
export type { SenderHost } from "./stream/sender.ts";
export { splice, type SpliceResult } from "./stream/splice.ts";
export { type StreamOutput, type StreamOwner, TunnelStream } from "./stream/stream.ts";
export type { Hello } from "./wire/hello.ts";
export {
  type GoawayCode,
  MAGIC as PREFACE,
  type RefuseCode,
  type ResetCode,
} from "./wire/layout.ts";
