/**
 * The NBD protocol's numbers; no logic. Source: the NBD project's doc/proto.md. All numbers are
 * big-endian.
 *
 *     Greeting (server):      u64 "NBDMAGIC", u64 "IHAVEOPT", u16 handshake flags
 *     Client flags (client):  u32
 *     Option (client):        u64 "IHAVEOPT", u32 option, u32 length, data
 *     Option reply (server):  u64 OPTION_REPLY_MAGIC, u32 option, u32 reply type, u32 length, data
 *     To OPT_EXPORT_NAME:     u64 size, u16 transmission flags, 124 zeroes unless FLAG_NO_ZEROES
 *
 *     Request (client):       u32 REQUEST_MAGIC, u16 flags, u16 type, u64 cookie, u64 offset, u32 length
 *     Simple reply (server):  u32 SIMPLE_REPLY_MAGIC, u32 error, u64 cookie, data
 *     Structured reply chunk: u32 STRUCTURED_REPLY_MAGIC, u16 flags, u16 type, u64 cookie, u32 length, data
 *
 *     REPLY_OFFSET_DATA:      u64 offset, data
 *     REPLY_OFFSET_HOLE:      u64 offset, u32 length
 *     REPLY_BLOCK_STATUS:     u32 context id, then for each extent u32 length, u32 flags
 *     REPLY_ERROR:            u32 error, u16 length of the message, message
 *     REPLY_ERROR_OFFSET:     the same, then u64 offset
 *
 * @module
 */

export const NBDMAGIC = 0x4e42444d41474943n;
export const IHAVEOPT = 0x49484156454f5054n;
/** What an oldstyle server sends in place of IHAVEOPT. */
export const OLDSTYLE_MAGIC = 0x00420281861253n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;

/** Handshake flag of the server, and of the client with the same bit. */
export const FLAG_FIXED_NEWSTYLE = 1;
/** The same: a reply to OPT_EXPORT_NAME comes without its zeroes. */
export const FLAG_NO_ZEROES = 2;
/** Zeroes after the reply to OPT_EXPORT_NAME, bytes. */
export const EXPORT_NAME_ZEROES = 124;

/** Lengths of the messages' fixed parts, bytes. */
export const GREETING_BYTES = 18;
export const OPTION_BYTES = 16;
export const OPTION_REPLY_BYTES = 20;
export const REQUEST_BYTES = 28;
export const EXTENDED_REQUEST_BYTES = 32;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_BYTES = 20;

/** Options. */
export const OPT_EXPORT_NAME = 1;
export const OPT_ABORT = 2;
export const OPT_LIST = 3;
export const OPT_STARTTLS = 5;
export const OPT_INFO = 6;
export const OPT_GO = 7;
export const OPT_STRUCTURED_REPLY = 8;
export const OPT_LIST_META_CONTEXT = 9;
export const OPT_SET_META_CONTEXT = 10;

/** Option replies; errors have the top bit. */
export const REP_ACK = 1;
export const REP_SERVER = 2;
export const REP_INFO = 3;
export const REP_META_CONTEXT = 4;
export const REP_ERROR_BIT = 0x80000000;
export const REP_ERR_UNSUP = 0x80000001;
export const REP_ERR_POLICY = 0x80000002;
export const REP_ERR_INVALID = 0x80000003;
export const REP_ERR_PLATFORM = 0x80000004;
export const REP_ERR_TLS_REQD = 0x80000005;
export const REP_ERR_UNKNOWN = 0x80000006;
export const REP_ERR_SHUTDOWN = 0x80000007;
export const REP_ERR_BLOCK_SIZE_REQD = 0x80000008;
export const REP_ERR_TOO_BIG = 0x80000009;

/** Information types of OPT_INFO and OPT_GO. */
export const INFO_EXPORT = 0;
export const INFO_NAME = 1;
export const INFO_DESCRIPTION = 2;
export const INFO_BLOCK_SIZE = 3;

/** Transmission flags of an export. */
export const FLAG_HAS_FLAGS = 1 << 0;
export const FLAG_READ_ONLY = 1 << 1;
export const FLAG_SEND_FLUSH = 1 << 2;
export const FLAG_SEND_FUA = 1 << 3;
export const FLAG_SEND_TRIM = 1 << 5;
export const FLAG_SEND_WRITE_ZEROES = 1 << 6;
export const FLAG_SEND_DF = 1 << 7;
export const FLAG_CAN_MULTI_CONN = 1 << 8;
export const FLAG_SEND_CACHE = 1 << 10;
export const FLAG_SEND_FAST_ZERO = 1 << 11;

/** Longest export name and longest string of any kind ("Conventions"), bytes. */
export const MAX_STRING = 4096;
/** Longest payload that every peer accepts ("Size constraints"), bytes. */
export const MAX_PAYLOAD = 1 << 25;
/** Largest minimum block size, bytes. */
export const MAX_MINIMUM_BLOCK = 1 << 16;
/** Preferred block size without INFO_BLOCK_SIZE, bytes. */
export const DEFAULT_PREFERRED_BLOCK = 4096;
/** Largest number of a 32-bit field. */
export const MAX_U32 = 0xffffffff;

/** Transmission phase. */
export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Requests. */
export const CMD_READ = 0;
export const CMD_WRITE = 1;
export const CMD_DISC = 2;
export const CMD_FLUSH = 3;
export const CMD_TRIM = 4;
export const CMD_CACHE = 5;
export const CMD_WRITE_ZEROES = 6;
export const CMD_BLOCK_STATUS = 7;

/** Command flags. */
export const CMD_FLAG_FUA = 1 << 0;
export const CMD_FLAG_NO_HOLE = 1 << 1;
export const CMD_FLAG_DF = 1 << 2;
export const CMD_FLAG_REQ_ONE = 1 << 3;
export const CMD_FLAG_FAST_ZERO = 1 << 4;

/** Structured reply chunks; errors have bit 15. */
export const REPLY_FLAG_DONE = 1;
export const REPLY_NONE = 0;
export const REPLY_OFFSET_DATA = 1;
export const REPLY_OFFSET_HOLE = 2;
export const REPLY_BLOCK_STATUS = 5;
export const REPLY_ERROR_BIT = 1 << 15;
export const REPLY_ERROR = REPLY_ERROR_BIT | 1;
export const REPLY_ERROR_OFFSET = REPLY_ERROR_BIT | 2;

/** Error values. */
export const ERRORS = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The context with the allocation of a range, and its flags. */
export const BASE_ALLOCATION = "base:allocation";
/** Of QEMU (docs/interop/nbd.rst), since 5.2: 0 where no image of the chain has the range. */
export const ALLOCATION_DEPTH = "qemu:allocation-depth";
export const STATE_HOLE = 1;
export const STATE_ZERO = 2;
