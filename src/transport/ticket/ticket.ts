import { decodeBase64Url, encodeBase64Url } from "@std/encoding/base64url";
import { InputError } from "../errors.ts";
import { PUBLIC_KEY_LENGTH } from "./self_signed.ts";

/** Length of the secret in a ticket, bytes. */
const SECRET_LENGTH = 16;
/** A ticket as text: base64url (RFC 4648 section 5) of 48 bytes. */
const TEXT = /^[A-Za-z0-9_-]{64}$/;

/**
 * The public key of a receive's certificate, by which a source knows it, and the secret that lets a source
 * in. It does not show in logs, JSON or errors: only `reveal` gives the text.
 */
export class Ticket {
  readonly #publicKey: Uint8Array;
  readonly #secret: Uint8Array;

  /** The ticket of a key, with a new random secret. */
  static make(publicKey: Uint8Array): Ticket {
    return new Ticket(publicKey, crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)));
  }

  /**
   * Reads a ticket.
   *
   * @throws {InputError} when it is no ticket; the message does not repeat the text.
   */
  static parse(text: string): Ticket {
    if (!TEXT.test(text)) {
      throw new InputError(
        `the ticket is not whole: it has ${text.length} characters, expected 64 letters, ` +
          "digits, '-' and '_'",
      );
    }
    const bytes = decodeBase64Url(text);
    return new Ticket(bytes.slice(0, PUBLIC_KEY_LENGTH), bytes.slice(PUBLIC_KEY_LENGTH));
  }

  private constructor(publicKey: Uint8Array, secret: Uint8Array) {
    this.#publicKey = publicKey;
    this.#secret = secret;
  }

  /** The destination's Ed25519 key, 32 bytes. */
  get publicKey(): Uint8Array {
    return this.#publicKey;
  }

  /** The secret, 16 bytes. */
  get secret(): Uint8Array {
    return this.#secret;
  }

  /** The ticket as text, secret and all. */
  reveal(): string {
    const bytes = new Uint8Array([...this.#publicKey, ...this.#secret]);
    return encodeBase64Url(bytes);
  }

  /** Hides the ticket in logs and JSON. */
  toJSON(): string {
    return "(a ticket)";
  }
}
