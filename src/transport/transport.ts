/**
 * What a transport is: one way to carry the bytes of a session between two ends. How to add one is in
 * docs/hacking.md.
 *
 * @module
 */
import type { Acceptor, Dial } from "../io/mod.ts";
import type { Preface } from "./ssh/banner.ts";

/** Which end of a connection an address is for. */
export type End = "listening" | "connecting";

/** A flag that goes with one transport only. It takes a value. */
export interface TransportFlag {
  /** Without its dashes. */
  readonly name: string;
  /** What its value is called in the help. */
  readonly value: string;
  /** May be given more than once. */
  readonly many?: boolean;
  /** The end that takes it. */
  readonly end: End | "both";
  /** The transport does not work without it. */
  readonly required?: boolean;
  /** Its line in `--help`. */
  readonly help: string;
}

/** The values of the flags that were given, by name. */
export type FlagValues = Readonly<Record<string, readonly string[]>>;

/** The mode bits that a private file must not have. */
export type ClosedMode = 0o077 | 0o027 | 0o022;

/**
 * Reads a file that only its owner may use; line ends at its end do not count.
 *
 * @param what names the flag in errors, such as `--tls-dir`.
 * @param limit the most bytes that are read; one more shows that the file is longer.
 * @throws when the file can't be read, or others can use it.
 */
export type ReadPrivate = (
  path: string,
  what: string,
  limit: number,
  closed?: ClosedMode,
) => Promise<Uint8Array>;

/** The file of this program, in memory. */
export interface OwnFile {
  /** Its content. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Room that it takes on a disk once it has run, bytes. */
  readonly roomBytes: number;
}

/** This program, for a transport that starts it on the other host. */
export interface OwnProgram {
  /** Its version, as `--version` prints it. */
  readonly version: string;
  /** The names that `uname -m` has for the processor of `read`'s file; the usual one first. */
  readonly machines: readonly string[];
  /**
   * Reads its file, which runs on another host of the same kind.
   *
   * @throws {InputError} when there is no such file; the message says why, as a clause.
   */
  readonly read: () => Promise<OwnFile>;
}

/** How far this program has been sent to another host, bytes. */
export interface CarryProgress {
  /** The other host, as the address names it. */
  readonly host: string;
  /** What was sent so far. */
  readonly sent: number;
  /** Size of the file. */
  readonly total: number;
}

/** What a transport gets to connect with. */
export interface DialContext {
  /** The values of this transport's flags. */
  readonly flags: FlagValues;
  /** Reads a file with a secret or key. */
  readonly readPrivate: ReadPrivate;
  /** What the peer's program begins with, where the transport has to find it. */
  readonly preface: Preface;
  /** The arguments of the peer's program, where the transport starts it. */
  readonly peerArgs: readonly string[];
  /** Called with each line that the peer's host writes on standard error. */
  readonly onLine: (line: string) => void;
  /** This program, where the transport may have to send it to the peer's host. */
  readonly program: OwnProgram;
  /** Called as it is sent. */
  readonly onCarry: (progress: CarryProgress) => void;
}

/** What a transport gets to listen with. */
export interface ListenContext {
  /** The values of this transport's flags. */
  readonly flags: FlagValues;
  /** Reads a file with a secret or key. */
  readonly readPrivate: ReadPrivate;
  /** Called when the transport rejects a connection. */
  readonly warn: (message: string) => void;
}

/**
 * Listens on an address. The caller owns the acceptor.
 *
 * @throws {TransportError} when the address is taken or not this host's.
 */
export type Listen<A> = (address: A) => Promise<Acceptor>;

/** One way to carry the bytes of a session. `A` is the type of its addresses. */
export interface Transport<A> {
  /** Whether others can read the bytes on the way, and whose process has the keys. */
  readonly encryption: "in-process" | "outside" | "none";
  /** Only a peer with a right to it gets a connection: by a key, a login, the mode of a socket file. */
  readonly authenticates: boolean;
  /** A new connection reaches the same process. */
  readonly mayReconnect: boolean;
  /** The address as text, without a secret. */
  format(address: A): string;
  /** True when no byte leaves this host. */
  isLocal(address: A): boolean;
  /**
   * Reads what listening takes, such as certificates. Absent where nothing can listen.
   *
   * @throws {InputError} when a value or a file is wrong.
   */
  prepareListen?(context: ListenContext): Promise<Listen<A>>;
}

/** A transport whose addresses are typed as `SCHEME://...`. */
export interface AddressedTransport<A> extends Transport<A> {
  /** The `transport` of its addresses. */
  readonly name: string;
  /** What stands before `://`. */
  readonly scheme: string;
  /** How an address looks, for help: `tcp://HOST:PORT`. */
  readonly form: string;
  /** What it is, in a few words, for help. */
  readonly about: string;
  /** The session's secret is in the address: no `--secret-file`. */
  readonly hasSecret: boolean;
  /** It starts the program at the other end, with `peerArgs`. */
  readonly startsPeer: boolean;
  /** Shortest deadline that a connection needs, ms: a login may ask somebody for a password. */
  readonly leastConnectMs: number;
  /** The flags that go with this transport only. */
  readonly flags: readonly TransportFlag[];
  /**
   * Reads the part of an address behind `SCHEME://`.
   *
   * @throws {InputError} naming what was given and what was expected; it repeats no secret.
   */
  parse(rest: string, end: End): A;
  /** The part of an address behind `SCHEME://`, without a secret. Absent where there never is one. */
  withoutSecret?(rest: string): string;
  /**
   * Reads what connecting takes, such as certificates.
   *
   * @returns how to connect; it throws {@link TransportError}.
   * @throws {InputError} when a value or a file is wrong.
   */
  prepareDial(address: A, context: DialContext): Promise<Dial>;
}
