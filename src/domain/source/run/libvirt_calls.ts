/**
 * The calls that virsh makes over a connection to libvirt, as far as the migration has to know them.
 *
 * libvirt's messages (src/rpc/virnetprotocol.x, the same in every version): length, program, version,
 * procedure, type, serial, status, 4 bytes each, big-endian; the length counts itself. Pure.
 *
 * @module
 */

/** Bytes of a message up to its procedure. */
const HEAD_BYTES = 16;
/** Longest message of libvirt, bytes (VIR_NET_MESSAGE_MAX), with its length. */
const MAX_MESSAGE = 33_554_432 + 4;
/** remote_protocol.x. */
const REMOTE_PROGRAM = 0x20008086;
/** REMOTE_PROC_CONNECT_CLOSE. */
const CLOSE = 2;
/** REMOTE_PROC_DOMAIN_MIGRATE_FINISH3, _FINISH3_PARAMS; the last argument of both is `cancelled`, 4 bytes. */
const FINISH: readonly number[] = [217, 306];

/** A call that matters. */
export type LibvirtCall =
  /** The destination is asked to run the guest. (A Finish of a migration that has failed is none.) */
  | "finish"
  /** virsh is through with this host. */
  | "close";

/** Finds calls in the bytes of a client. A connection in another form, such as with SASL, has none. */
export class CallScanner {
  readonly #onCall: (call: LibvirtCall) => void;
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  /** Bytes of the current message that follow its head. */
  #bodyBytes = 0;
  /** The last bytes of a Finish so far, as one number; `undefined` in other messages. */
  #cancelled: number | undefined;
  #isOther = false;

  /** @param onCall called for each call that matters, before `push` returns. */
  constructor(onCall: (call: LibvirtCall) => void) {
    this.#onCall = onCall;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isOther;) {
      const skipped = Math.min(this.#bodyBytes, bytes.length - at);
      if (skipped > 0) this.#skip(bytes.subarray(at, at + skipped));
      at += skipped;
      const taken = Math.min(HEAD_BYTES - this.#headBytes, bytes.length - at);
      this.#head.set(bytes.subarray(at, at + taken), this.#headBytes);
      this.#headBytes += taken;
      at += taken;
      if (this.#headBytes === HEAD_BYTES) this.#readHead();
    }
  }

  #skip(body: Uint8Array): void {
    this.#bodyBytes -= body.length;
    if (this.#cancelled === undefined) return;
    for (const byte of body.subarray(-4)) this.#cancelled = (this.#cancelled << 8 | byte) >>> 0;
    if (this.#bodyBytes > 0) return;
    if (this.#cancelled === 0) this.#onCall("finish");
    this.#cancelled = undefined;
  }

  #readHead(): void {
    const view = new DataView(this.#head.buffer);
    const [length = 0, program, procedure = 0] = [0, 4, 12].map((at) => view.getUint32(at));
    this.#isOther = length < HEAD_BYTES || length > MAX_MESSAGE;
    this.#bodyBytes = length - HEAD_BYTES;
    this.#headBytes = 0;
    if (this.#isOther || program !== REMOTE_PROGRAM) return;
    if (procedure === CLOSE) this.#onCall("close");
    if (FINISH.includes(procedure)) this.#cancelled = 1;
  }
}
