import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { InputError } from "../errors.ts";
import { PUBLIC_KEY_LENGTH } from "./self_signed.ts";

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

  /** @throws {InputError} when it is no ticket; the message does not repeat the text. */
  static parse(text: string): Ticket {
    if (!TEXT.test(text)) {
      throw new InputError(
        `the ticket is not whole: it has ${text.length} characters, expected 64 letters, ` +
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
