/**
 * The NBD protocol's numbers, as far as a client needs them; no logic. Source: the NBD project's
 * doc/proto.md. All numbers are big-endian.
 *
 *     Greeting (server):      u64 "NBDMAGIC", u64 "IHAVEOPT", u16 handshake flags
 *     Client flags (client):  u32
 *     Option (client):        u64 "IHAVEOPT", u32 option, u32 length, data
 *     Option reply (server):  u64 OPTION_REPLY_MAGIC, u32 option, u32 reply type, u32 length, data
 *     Request (client):       u32 REQUEST_MAGIC, u16 flags, u16 type, u64 cookie, u64 offset, u32 length
 *     Simple reply (server):  u32 SIMPLE_REPLY_MAGIC, u32 error, u64 cookie, data of a read
 *     Structured reply chunk: u32 CHUNK_MAGIC, u16 flags, u16 type, u64 cookie, u32 length, payload
 *
 * @module
 */

export const NBDMAGIC = 0x4e42444d41474943n;
export const IHAVEOPT = 0x49484156454f5054n;
/** What the server of the old negotiation sends in the place of IHAVEOPT. */
export const OLDSTYLE_MAGIC = 0x00420281861253n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const CHUNK_MAGIC = 0x668e33ef;

export const REQUEST_LENGTH = 28;
export const SIMPLE_REPLY_LENGTH = 16;
export const CHUNK_HEADER_LENGTH = 20;

/** Handshake flags of the server, and the same bits from the client. */
export const FLAG_FIXED_NEWSTYLE = 1;
export const FLAG_NO_ZEROES = 2;

/** Options. */
export const OPT_EXPORT_NAME = 1;
export const OPT_ABORT = 2;
export const OPT_GO = 7;
export const OPT_STRUCTURED_REPLY = 8;

/** Option replies; errors have the top bit. */
export const REP_ACK = 1;
export const REP_INFO = 3;
export const REP_ERROR_BIT = 0x80000000;
export const REP_ERR_UNSUP = 0x80000001;
export const REP_ERR_POLICY = 0x80000002;
export const REP_ERR_INVALID = 0x80000003;
export const REP_ERR_PLATFORM = 0x80000004;
export const REP_ERR_TLS_REQD = 0x80000005;
export const REP_ERR_UNKNOWN = 0x80000006;
export const REP_ERR_SHUTDOWN = 0x80000007;
export const REP_ERR_BLOCK_SIZE_REQD = 0x80000008;

/** Information types of OPT_GO. */
export const INFO_EXPORT = 0;
export const INFO_BLOCK_SIZE = 3;

/** Transmission flags of an export. */
export const FLAG_HAS_FLAGS = 1 << 0;
export const FLAG_READ_ONLY = 1 << 1;
export const FLAG_SEND_FLUSH = 1 << 2;
export const FLAG_SEND_FUA = 1 << 3;
export const FLAG_SEND_TRIM = 1 << 5;
export const FLAG_SEND_WRITE_ZEROES = 1 << 6;
export const FLAG_CAN_MULTI_CONN = 1 << 8;

/** Request types. */
export const CMD_READ = 0;
export const CMD_DISC = 2;

/** Structured reply chunks: the flag of the last one, and types; errors have the top bit. */
export const CHUNK_FLAG_DONE = 1;
export const CHUNK_NONE = 0;
export const CHUNK_OFFSET_DATA = 1;
export const CHUNK_OFFSET_HOLE = 2;
export const CHUNK_ERROR_BIT = 0x8000;

/** Error numbers of replies. */
export const ERRORS: Readonly<Record<number, string>> = {
  1: "Operation not permitted",
  5: "Input/output error",
  12: "Cannot allocate memory",
  22: "Invalid argument",
  28: "No space left on device",
  75: "Value too large",
  95: "Operation not supported",
  108: "Server is shutting down",
};

/** Longest export name and longest string of any kind ("Protocol phases", strings). */
export const MAX_STRING = 4096;
