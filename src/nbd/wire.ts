/**
 * The NBD protocol's numbers that are used; no logic. Source: the NBD project's doc/proto.md. All
 * numbers are big-endian.
 *
 *     Greeting (server):      u64 "NBDMAGIC", u64 "IHAVEOPT", u16 handshake flags
 *     Client flags (client):  u32
 *     Option (client):        u64 "IHAVEOPT", u32 option, u32 length, data
 *     Option reply (server):  u64 OPTION_REPLY_MAGIC, u32 option, u32 reply type, u32 length, data
 *
 *     Request (client):       u32 REQUEST_MAGIC, u16 flags, u16 type, u64 cookie, u64 offset, u32 length
 *     Simple reply (server):  u32 SIMPLE_REPLY_MAGIC, u32 error, u64 cookie, data
 *     Structured reply chunk: u32 STRUCTURED_REPLY_MAGIC, u16 flags, u16 type, u64 cookie, u32 length, data
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

/** Options. */
export const OPT_ABORT = 2;
export const OPT_INFO = 6;
export const OPT_GO = 7;
export const OPT_STRUCTURED_REPLY = 8;
export const OPT_SET_META_CONTEXT = 10;

/** Option replies; errors have the top bit. */
export const REP_ACK = 1;
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

/** Information types of OPT_INFO. */
export const INFO_EXPORT = 0;
export const INFO_BLOCK_SIZE = 3;

/** Transmission flag of an export. */
export const FLAG_READ_ONLY = 1 << 1;

/** Longest export name and longest string of any kind ("Protocol phases", strings). */
export const MAX_STRING = 4096;

/** Transmission phase. */
export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Requests. */
export const CMD_READ = 0;
export const CMD_FLUSH = 3;
export const CMD_BLOCK_STATUS = 7;

/** Structured reply chunks; errors have bit 15. */
export const REPLY_FLAG_DONE = 1;
export const REPLY_NONE = 0;
export const REPLY_OFFSET_DATA = 1;
export const REPLY_OFFSET_HOLE = 2;
export const REPLY_BLOCK_STATUS = 5;
export const REPLY_ERROR_BIT = 1 << 15;

/** The context with the allocation of a range, and its flags. */
export const BASE_ALLOCATION = "base:allocation";
export const STATE_HOLE = 1;
export const STATE_ZERO = 2;
