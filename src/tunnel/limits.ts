/**
 * Every bound of the tunnel, and of the RPC in it, in one place. Sizes in bytes, times in
 * milliseconds. Those that the protocol fixes are in docs/tunnel-protocol.md; the rest are this
 * implementation's choice.
 *
 * @module
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Largest DATA payload that is accepted, and that is sent. */
export const MAX_DATA = 256 * KiB;
/** Bytes of a stream in one compressed DATA frame, at most. */
export const MAX_RAW: number = MAX_DATA;
/** Largest window of a compressed frame, as a power of two: its decoder needs as many bytes. */
export const ZSTD_WINDOW_LOG = 18;
/** Level of zstd: faster ones save much less, and higher ones are no faster than 1 Gbit/s. */
export const ZSTD_LEVEL = 1;
/** Smaller pieces are never compressed: their latency counts more. */
export const MIN_COMPRESSED = 4 * KiB;
/** A piece is sent compressed if it shrinks to this share. */
export const WORTH_COMPRESSING = 0.9;
/** Pieces in a row that did not shrink, after which a stream is not compressed for a while. */
export const BAD_PIECES = 8;
/** Bytes of a stream for which nothing is compressed then; it doubles with each failed try. */
export const FIRST_COMPRESS_PAUSE = 16 * MiB;
/** The longest such pause. */
export const MOST_COMPRESS_PAUSE = 256 * MiB;
/** Pieces that the compressor may have at a time; the next one is sent as it is. */
export const MOST_COMPRESS_JOBS = 64;
/** Rate of the compressor until it was measured, bytes per ms. */
export const COMPRESS_RATE: number = 300 * 1000;
/** Pieces over which the rate of the compressor is taken. */
export const COMPRESS_MEMORY = 16;
/** Before it has worked, the compressor counts as if it had worked at {@link COMPRESS_RATE} for so long, ms. */
export const COMPRESS_MEMORY_MS = 10;
/** The compressor must be so many times as fast as the connection to begin. */
export const COMPRESS_FACTOR = 2;
/** The same to begin where bytes wait for less than {@link HELD_SHARE} of the time. */
export const COMPRESS_FACTOR_SURE = 4;
/** The same to continue. */
export const COMPRESS_FACTOR_STAY = 1.25;
/** A compressor that was too slow is tried again after this time. */
export const COMPRESS_RETRY_MS = 250;
/** A round with fewer bytes says little about what the connection carries. */
export const BULK_ROUND = 128 * KiB;
/**
 * Time over which the rate is taken that compression is compared with. The rate is not known before
 * half of it: a program is slow in its first moments.
 */
export const BULK_MS = 200;
/** A write that takes longer waits for the connection. */
export const BLOCKED_MS = 2;
/**
 * How long a frame counts as waiting for the connection, beyond two round trips: compressed frames
 * wait less, and a busy processor lets the queue run empty for moments.
 */
export const HELD_MS = 1000;
/** Bytes that wait for such a share of the time wait for the connection, not for a busy processor. */
export const HELD_SHARE = 0.9;
/** The compressor must answer within {@link COMPRESS_TICKS} of these. */
export const COMPRESS_TICK_MS = 500;
/** See {@link COMPRESS_TICK_MS}. */
export const COMPRESS_TICKS = 10;
/** Smallest output buffer that zlib accepts. */
export const LEAST_ZLIB_CHUNK = 64;
/** Smallest value that a peer may name as its largest DATA payload. */
export const MIN_MAX_DATA = 4 * KiB;
/** Longest text of a RESET, GOAWAY or REFUSE. */
export const MAX_REASON = 512;
/** Largest payload of any frame that is not DATA (GOAWAY, RESET, REFUSE with the longest reason). */
export const MAX_CONTROL: number = 10 + MAX_REASON;
/** Streams opened by one end that may be open at a time. */
export const MAX_STREAMS = 256;
/** Credit that every new stream starts with. */
export const FIRST_WINDOW = 64 * KiB;
/** Window of a stream once both ends know of it, for each ms of the round trip (half a Gbit/s). */
export const OPEN_WINDOW_PER_MS = 64 * KiB;
/** Largest window that the round trip alone gives. */
export const MOST_OPEN_WINDOW = 4 * MiB;
/** Largest window of a stream whose reader keeps up with the connection. */
export const STREAM_WINDOW = 32 * MiB;
/**
 * Sum of all windows, which the streams share; only {@link MIN_WINDOW}, which each stream has, may
 * exceed it.
 */
export const ALL_WINDOWS = 128 * MiB;
/** A stream's window is never below this, however many there are. */
export const MIN_WINDOW = 64 * KiB;
/** Window of stream 0, the RPC. */
export const RPC_WINDOW = 256 * KiB;
/**
 * Bytes sent and not acknowledged, at most; also the size of the replay buffer. The cap in use
 * depends on the connection, see send/flight.ts.
 */
export const IN_FLIGHT = 64 * MiB;
/** The cap until a rate was measured. */
export const FIRST_IN_FLIGHT = 2 * MiB;
/** The cap on the slowest connection. */
export const LEAST_IN_FLIGHT = 256 * KiB;
/** The cap allows at least what the connection carries in this time. */
export const QUEUE_MS = 10;
/** The most that {@link QUEUE_MS} may add. */
export const QUEUE_BYTES = 2 * MiB;
/** Shortest time over which a rate is measured. */
export const SHORTEST_ROUND_MS = 2;
/** DATA payloads are never limited to less than this, however slow the connection. */
export const MIN_DATA_SENT = 64 * KiB;
/**
 * Control frames a peer may leave unacknowledged on top of the in-flight cap. Each answers bytes
 * that the peer sent, so only a peer that reads and never acknowledges gets here.
 */
export const MAX_UNACKED_CONTROL = 1 * MiB;
/** Received bytes after which an acknowledgement is sent at once. */
export const ACK_EVERY = 64 * KiB;
/** The same at a high rate. */
export const MOST_ACK_EVERY = 512 * KiB;
/** How long a smaller amount may wait for its acknowledgement. */
export const ACK_DELAY_MS = 5;
/** Acknowledgements to send in that time at most. */
export const ACKS_PER_DELAY = 8;
/** A window of which half is used up within this time is too small, however short the round trip. */
export const WINDOW_MS = 4;
/** The same for a narrow window, which is kept small because queued bytes add to the downtime. */
export const NARROW_WINDOW_MS = 1;
/** A window is too large when half of it lasts this many times as long. */
export const SLOW_READER = 4;
/** Size of the buffers that the connection is read into. */
export const READ_BUFFER = 1 * MiB;
/** Reads under way at a time where each returns one TLS record at most. */
export const READS_AHEAD = 16;
/** Reads with less room than this cost more system calls than a new buffer does. */
export const MIN_READ = 256 * KiB;
/** Read buffers that slow streams may pin; above this their bytes are copied. */
export const MAX_PINNED_READ_BUFFERS = 32;
/** A piece smaller than this is copied out of the read buffer. */
export const MIN_PINNED_PIECE = 4 * KiB;
/** Pieces that wait for their reader are gathered in chunks of this size. */
export const COALESCE = 16 * KiB;
/** Frames up to this size are gathered into one write. */
export const GATHER_FRAME = 16 * KiB;
/** Size of the buffer that small frames are gathered in. */
export const GATHER_BUFFER = 64 * KiB;
/** Frames a stream may have waiting for the connection. */
export const FRAMES_AHEAD = 2;
/** The same while its frames are compressed, which takes time and makes them smaller. */
export const COMPRESSED_FRAMES_AHEAD = 6;
/** Time for the whole handshake: preface, HELLO and credential. */
export const HANDSHAKE_MS = 10_000;
/** Handshakes under way at a time; one more closes the oldest. */
export const MAX_HANDSHAKES = 64;
/** Lanes of a session, the first one included, at most. */
export const MAX_LANES = 16;
/** Sessions that one end serves at a time. */
export const MAX_SESSIONS = 64;
/** Text that a login shell may print before the preface on stdio. */
export const MAX_BANNER = 64 * KiB;
/** Silence after which a PING is sent. */
export const PING_AFTER_MS = 5_000;
/** Silence, or a write without progress, after which the connection is dead. */
export const DEAD_AFTER_MS = 15_000;
/** Round trip that is assumed until one was measured. */
export const FIRST_RTT_MS = 1;
/** Bytes moved after which the round trip is measured again. */
export const RTT_PROBE_BYTES = 1 * MiB;
/** How long a session outlives its connection. */
export const GRACE_MS = 60_000;
/** Longest grace that a peer may name: one day. */
export const MAX_GRACE_MS = 86_400_000;
/** First wait between two attempts to reconnect; it doubles with each attempt. */
export const RECONNECT_FIRST_MS = 100;
/** Longest wait between two attempts to reconnect. */
export const RECONNECT_LONGEST_MS = 5_000;
/** How long an end that is done waits for its peer to reconnect and learn of it. */
export const LINGER_MS = 5_000;
/** How long the other end may take to read why the session is over, and to hang up. */
export const LAST_WORD_MS = 1_000;
/** How long a clean end may take. */
export const CLOSE_MS = 10_000;
/** Shortest secret that is accepted. */
export const MIN_SECRET = 16;
/** Longest secret that is accepted. */
export const MAX_SECRET = 4 * KiB;

// RPC, on stream 0

/** Longest message: bytes of JSON. */
export const MAX_MESSAGE = 1 * MiB;
/** Requests of the other end that may be under way or wait to be answered; the next one waits. */
export const MAX_REQUESTS = 64;
/** Calls of ours that may be under way. */
export const MAX_CALLS = 1024;
/** How long the other end may take to connect a stream while the connection is up. */
export const OPEN_MS = 30_000;
