/**
 * The call by which both ends get to know each other for their reports (docs/tunnel-protocol.md, section 8). Since
 * vmferry 1.1; an older end answers `unknown-procedure`.
 *
 * @module
 */
import { list, nullable, object, text, type TypeOf } from "./schema.ts";

/** What an end says of itself. Nothing of it decides anything. */
const introduction = object({
  /** Name of the host. */
  host: nullable(text(256)),
  qemuVersion: nullable(text(128)),
  /** Such as `migrate`. */
  command: text(64),
  /** Flags and arguments that were given, without secrets. */
  settings: list(object({ name: text(64), value: text(1024) }), 128),
});

/** The call. */
export const introduceProcedures = {
  /** Source to destination, before `prepare`, `prepareDomain` or `prepareCopy`. Changes nothing. */
  introduce: { params: introduction, result: introduction },
} as const;

/** What an end says of itself. */
export type Introduction = TypeOf<typeof introduction>;
