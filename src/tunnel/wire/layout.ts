/**
 * The tunnel's wire format: layouts and numbers, no logic. The specification with the reasons is
 * docs/tunnel-protocol.md. All numbers are unsigned and big-endian.
 *
 * A connection starts, in each direction, with the preface:
 *
 *      0  12 bytes  magic: 89 'V' 'M' 'F' 'E' 'R' 'R' 'Y' 0D 0A 1A 0A
 *     12  u16       major version; must be equal on both ends
 *     14  u16       minor version; the lower one of the two is spoken
 *
 * and goes on with frames:
 *
 *      0  u32  length of the payload         4  u8  type       5  u8  flags (undefined bits are 0)
 *      6  u16  reserved, 0                   8  u32 stream id (0 = the session and its RPC)
 *     12  payload
 *
 * HELLO (first frame in each direction, exactly 96 bytes of payload):
 *
 *      0  u8        role: 1 connecting end, 2 listening end
 *      1  u8        flags: bit 0 = this end has a secret, bit 1 = it decompresses zstd, bit 2 = byte 2
 *                   speaks of lanes
 *      2  u8        lanes: how many are wanted or allowed, or the number of the one that joins
 *      3  u8        reserved, 0
 *      4  u32       largest DATA payload this end accepts, bytes
 *      8  u32       streams the other end may have open at a time
 *     12  u32       first window: the credit of every new stream, bytes
 *     16  u32       window of stream 0, bytes
 *     20  u32       grace: how long this end keeps the session without a connection, ms
 *     24  u64       reserved, 0
 *     32  16 bytes  session id: the listening end's choice; from the connecting end zeros for a new
 *                   session, or the id of the session to resume or to join
 *     48  32 bytes  nonce, fresh for each connection
 *     80  16 bytes  version of the program, ASCII, padded with zeros
 *
 * The other payloads:
 *
 *     AUTH      32 bytes credential
 *     RESUME    u64 epoch, u64 received, 32 bytes credential
 *     RESUMED   u64 received, 32 bytes credential
 *     REFUSE    u16 code, UTF-8 reason
 *     ACK       u64 received
 *     PING      8 bytes, any; flag SOON: any other bytes are an answer, too
 *     PONG      the 8 bytes of the PING
 *     DATA      bytes of the stream; flag FIN: the stream's last bytes in this direction; flag
 *               COMPRESSED: u32 length of the bytes, then one zstd frame of them
 *     CREDIT    u64: bytes of this stream that may have been sent in all
 *     RESET     u16 code, u64 final offset (bytes sent on this stream in all), UTF-8 reason
 *     GOAWAY    u16 code, UTF-8 reason
 *
 * `received` counts the bytes of whole sequenced frames, headers included, since the session began.
 * DATA, CREDIT, RESET and GOAWAY are sequenced; the others belong to one connection and are never
 * sent again.
 *
 * @module
 */

/** The preface's magic: its first byte is no text, its last ones show mangled line ends. */
export const MAGIC: Uint8Array = Uint8Array.of(
  0x89,
  0x56,
  0x4d,
  0x46,
  0x45,
  0x52,
  0x52,
  0x59,
  0x0d,
  0x0a,
  0x1a,
  0x0a,
);
export const PREFACE_LENGTH = 16;
export const VERSION_MAJOR = 1;
export const VERSION_MINOR = 0;

export const HEADER_LENGTH = 12;

/** Frame types. */
export const HELLO = 1;
export const AUTH = 2;
export const RESUME = 3;
export const RESUMED = 4;
export const REFUSE = 5;
export const ACK = 6;
export const PING = 7;
export const PONG = 8;
export const DATA = 16;
export const CREDIT = 17;
export const RESET = 18;
export const GOAWAY = 19;

/** This type and those above it are counted, acknowledged and replayed. */
export const FIRST_SEQUENCED = DATA;

/** DATA: the stream's last bytes in this direction. */
export const FLAG_FIN = 1;

/** DATA: the payload is a u32 length, then a zstd frame of so many bytes of the stream. */
export const FLAG_COMPRESSED = 2;
/** The length in front of the zstd frame. */
export const RAW_LENGTH_BYTES = 4;

/** PING: any bytes are an answer; no PONG is needed where others are sent anyway. */
export const FLAG_SOON = 1;

export const HELLO_LENGTH = 96;
export const CREDENTIAL_LENGTH = 32;
export const NONCE_LENGTH = 32;
export const SESSION_ID_LENGTH = 16;
export const RESUME_LENGTH = 48;
export const RESUMED_LENGTH = 40;
export const OFFSET_IN_RESET = 2;
export const REASON_OFFSET_IN_RESET = 10;

export const ROLE_CONNECTING = 1;
export const ROLE_LISTENING = 2;
export const HELLO_FLAG_SECRET = 1;
export const HELLO_FLAG_ZSTD = 2;
/** Byte 2 of the HELLO speaks of lanes. */
export const HELLO_FLAG_LANES = 4;

/** Why a connection is refused before the session is open; the numbers of REFUSE. */
export const REFUSE_CODES = {
  "version": 1,
  "wrong-secret": 2,
  "unknown-session": 3,
  "stale-epoch": 4,
  "bad-resume": 5,
  "busy": 6,
  "malformed": 7,
  "not-allowed": 8,
} as const satisfies Record<RefuseCode, number>;

/** Why a session ends; the numbers of GOAWAY. */
export const GOAWAY_CODES = {
  "done": 0,
  "protocol-error": 1,
  "flow-control": 2,
  "internal": 3,
  "stopped": 4,
} as const satisfies Record<GoawayCode, number>;

/** Why a stream is reset; the numbers of RESET. */
export const RESET_CODES = {
  "cancelled": 1,
  "read-failed": 2,
  "write-failed": 3,
  "refused": 4,
  "internal": 5,
} as const satisfies Record<ResetCode, number>;

/** Why a connection is refused before the session is open (docs/tunnel-protocol.md, section 2). */
export type RefuseCode =
  | "version"
  | "wrong-secret"
  | "unknown-session"
  | "stale-epoch"
  | "bad-resume"
  | "busy"
  | "malformed"
  | "not-allowed";
/** Why a session ends (docs/tunnel-protocol.md, section 2). */
export type GoawayCode = "done" | "protocol-error" | "flow-control" | "internal" | "stopped";
/** Why a stream is reset (docs/tunnel-protocol.md, section 2). */
export type ResetCode = "cancelled" | "read-failed" | "write-failed" | "refused" | "internal";
