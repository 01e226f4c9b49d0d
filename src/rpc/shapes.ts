/**
 * Shapes that several calls have in common. Sizes in bytes.
 *
 * @module
 */
import { nullable, object, text } from "./schema.ts";

/** The name of a disk, guest, node or image. */
export const name = text(256);
/** Text for people. */
export const message = text(4096);
/** Names a migration on both sides; the source's choice, unpredictable. */
export const migrationId = text(64);

/** A name of a piece of storage. */
export const storageKey = object({
  key: text(2048),
  /** The host on which it is a name; `null`: it means the same everywhere. */
  scope: nullable(text(256)),
});
