/**
 * Every bound of the tunnel, and of the RPC in it, in one place. Sizes in bytes, times in milliseconds.
 *
 * @module
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Largest DATA payload that is accepted, and that is sent. */
export const MAX_DATA = 256 * KiB;
/** Smallest value that a peer may name as its largest DATA payload. */
export const MIN_MAX_DATA = 4 * KiB;
/** Longest text of a RESET, GOAWAY or REFUSE. */
export const MAX_REASON = 512;
/** Largest payload of any frame that is not DATA (GOAWAY, RESET, REFUSE with the longest reason). */
export const MAX_CONTROL = 10 + MAX_REASON;
/** Streams that may be open at a time, opened by one end. */
export const MAX_STREAMS = 256;
/** Credit that every new stream starts with. */
export const FIRST_WINDOW = 64 * KiB;
/**
 * Window of a stream as soon as both ends know of it: for each millisecond of a round trip so much
 * (half a Gbit/s), and no more than that.
 */
export const OPEN_WINDOW_PER_MS = 64 * KiB;
export const MOST_OPEN_WINDOW = 4 * MiB;
/** Largest window of a stream whose reader keeps up with the connection. */
export const STREAM_WINDOW = 32 * MiB;
/**
 * What all windows together do not exceed, but for {@link MIN_WINDOW} that each stream has at least;
 * with many streams each gets its share.
 */
export const ALL_WINDOWS = 128 * MiB;
/** A stream's window is never below this, however many there are. */
export const MIN_WINDOW = 64 * KiB;
/** Window of stream 0, the RPC. */
export const RPC_WINDOW = 256 * KiB;
/**
 * Bytes sent and not yet acknowledged, at most; also the size of the replay buffer. How many there
 * are depends on the connection, see send/flight.ts.
 */
export const IN_FLIGHT = 64 * MiB;
/** The same until something was measured. */
export const FIRST_IN_FLIGHT = 2 * MiB;
/** The same on the slowest connection. */
export const LEAST_IN_FLIGHT = 256 * KiB;
/** What may be under way beyond what the connection holds: this long's worth, and no more than that. */
export const QUEUE_MS = 10;
export const QUEUE_BYTES = 2 * MiB;
/** Shortest time over which a rate is measured. */
export const SHORTEST_ROUND_MS = 2;
/** DATA payloads need not be smaller than this, however slow the connection. */
export const MIN_DATA_SENT = 64 * KiB;
/**
 * Control frames a peer may leave unacknowledged on top of the in-flight cap. Each answers bytes
 * that the peer sent, so only a peer that reads and never acknowledges gets here.
 */
export const MAX_UNACKED_CONTROL = 1 * MiB;
/** Received bytes after which an acknowledgement is owed at once, when few come and when many do. */
export const ACK_EVERY = 64 * KiB;
export const MOST_ACK_EVERY = 512 * KiB;
/** How long a smaller amount may wait for its acknowledgement. */
export const ACK_DELAY_MS = 5;
/** Acknowledgements that are enough in that time. */
export const ACKS_PER_DELAY = 8;
/** A window that is used up to a half in less than this is too small, however short the round trip. */
export const WINDOW_MS = 4;
/** The same where what waits in it is in the way of something else. */
export const NARROW_WINDOW_MS = 1;
/** Such a window is too large when a half of it lasts this many times as long. */
export const NARROW_SLOW = 4;
/** Size of the buffers the connection is read into. */
export const READ_BUFFER = 1 * MiB;
/** Reads under way at a time where each brings no more than a record. */
export const READS_AHEAD = 16;
/** A read is not worth its while into less than this. */
export const MIN_READ = 256 * KiB;
/** Read buffers that slow streams may pin; past that their bytes are copied. */
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
/** Preface, HELLO, proof: all of it must be through after this. */
export const HANDSHAKE_MS = 10_000;
/** Connections that may be in their handshake at a time; one more takes the oldest one's place. */
export const MAX_HANDSHAKES = 64;
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
/** First and longest wait between two attempts to reconnect. */
export const RECONNECT_FIRST_MS = 100;
export const RECONNECT_LONGEST_MS = 5_000;
/** How long an end that is done waits for the other one to come back and hear of it. */
export const LINGER_MS = 5_000;
/** How long the other end may take to be told why the session is over, and to hang up. */
export const LAST_WORD_MS = 1_000;
/** How long a clean end may take. */
export const CLOSE_MS = 10_000;
/** Shortest secret that is taken. */
export const MIN_SECRET = 16;
/** Longest secret that is taken. */
export const MAX_SECRET = 4 * KiB;

// RPC, on stream 0

/** Longest message: bytes of JSON. */
export const MAX_MESSAGE = 1 * MiB;
/** Requests of the other end that may be under way or have answers to send; then its next one waits. */
export const MAX_REQUESTS = 64;
/** Calls of ours that may be under way. */
export const MAX_CALLS = 1024;
/** How long the other end may take to connect a stream while the link stands. */
export const OPEN_MS = 30_000;
