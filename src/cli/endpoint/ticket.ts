import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { PUBLIC_KEY_LENGTH } from "../../transport/mod.ts";
import { UsageError } from "../args/usage_error.ts";

/** Length of the secret in a ticket, bytes. */
const SECRET_LENGTH = 16;
/** How a ticket is written: base64url, 64 characters. */
const TEXT = /^[A-Za-z0-9_-]{64}$/;

/**
 * What lets a source in, and what it knows the receive by: the public key of the receive's
 * certificate, and a secret. It does not show in logs, JSON or errors; only `reveal` tells it.
 */
export class Ticket {
  readonly #publicKey: Uint8Array;
  readonly #secret: Uint8Array;

  /** The ticket of a key, with a fresh secret. */
  static make(publicKey: Uint8Array): Ticket {
    return new Ticket(publicKey, crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)));
  }

  /**
   * @param what names the argument in errors.
   * @throws {UsageError} when it is no ticket; the text is not repeated.
   */
  static parse(text: string, what: string): Ticket {
    if (!TEXT.test(text)) {
      throw new UsageError(
        `${what}: the ticket is not whole: it has ${text.length} characters, expected 64 letters, ` +
          "digits, '-' and '_'",
      );
    }
    const bytes = decodeBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
    return new Ticket(bytes.slice(0, PUBLIC_KEY_LENGTH), bytes.slice(PUBLIC_KEY_LENGTH));
  }

  private constructor(publicKey: Uint8Array, secret: Uint8Array) {
    this.#publicKey = publicKey;
    this.#secret = secret;
  }

  get publicKey(): Uint8Array {
    return this.#publicKey;
  }

  get secret(): Uint8Array {
    return this.#secret;
  }

  /** As it is written down. */
  reveal(): string {
    const bytes = new Uint8Array([...this.#publicKey, ...this.#secret]);
    return encodeBase64(bytes).replaceAll("+", "-").replaceAll("/", "_");
  }

  toJSON(): string {
    return "(a ticket)";
  }
}
