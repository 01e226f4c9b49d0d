/**
 * RPC messages (docs/tunnel-protocol.md, section 8): u32 length, big-endian, and that many bytes of
 * JSON. Pure.
 *
 *     {"id": 1, "method": "prepare", "params": {…}}
 *     {"id": 1, "result": {…}}
 *     {"id": 1, "error": {"code": "refused", "message": "…"}}
 *
 * @module
 */
import { limits } from "../tunnel/mod.ts";
import { integer, list, nullable, object, SchemaError, text } from "./schema.ts";

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    /** The problems in the message, each on its own. */
    readonly problems?: readonly string[] | null;
  };
}

/** How many problems an error may list, and how long each may be, characters. */
export const MAX_PROBLEMS = 64;
export const MAX_PROBLEM = 1024;

/** The other end sent an invalid message. The session cannot go on. */
export class MessageError extends Error {
  override name = "MessageError";
}

/**
 * The bytes of a message.
 *
 * @throws {MessageError} when they are more than {@link limits.MAX_MESSAGE}.
 */
export function encodeMessage(message: Request | Reply): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(message));
  if (json.length > limits.MAX_MESSAGE) {
    throw new MessageError(
      `A message of ${json.length} bytes is over the limit of ${limits.MAX_MESSAGE}`,
    );
  }
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  return bytes;
}

/**
 * The length that the first four bytes announce.
 *
 * @throws {MessageError} when it is 0 or over the limit.
 */
export function messageLength(head: Uint8Array): number {
  const length = new DataView(head.buffer, head.byteOffset, 4).getUint32(0);
  if (length === 0 || length > limits.MAX_MESSAGE) {
    throw new MessageError(`Got a message of ${length} bytes, expected 1 to ${limits.MAX_MESSAGE}`);
  }
  return length;
}

const withId = object({ id: integer(1) });
const errorShape = object({
  code: text(64),
  message: text(8192),
  problems: nullable(list(text(MAX_PROBLEM), MAX_PROBLEMS)),
});

/**
 * Parses the JSON of a message.
 *
 * @throws {MessageError} when it is no JSON, or neither a request nor a reply.
 */
export function decodeMessage(bytes: Uint8Array): Request | Reply {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { id } = withId(value, "message");
    if (typeof value.method === "string") {
      return { id, method: value.method, params: value.params ?? {} };
    }
    if (value.error !== undefined) return { id, error: errorShape(value.error, "error") };
    if (value.result !== undefined) return { id, result: value.result };
  } catch (error) {
    if (error instanceof SchemaError) throw new MessageError(error.message);
    throw new MessageError("Got a message that is not JSON");
  }
  throw new MessageError("Got a message that is neither a request nor a reply");
}
