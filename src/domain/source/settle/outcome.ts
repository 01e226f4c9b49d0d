/**
 * The error of a migration that has not brought the guest to the destination. Pure.
 *
 * @module
 */
import { type ErrorCode, MigrationError } from "../../../migrate/mod.ts";
import { withKind } from "../failure.ts";
import type { DomainSourceRecord } from "../record.ts";
import type { Settled } from "./settle.ts";

/**
 * The error to report; its kind says where the guest is.
 *
 * @param cause why the migration has failed; `undefined` where another process began it.
 */
export function outcomeError(
  settled: Exclude<Settled, { outcome: "migrated" }>,
  cause: MigrationError | undefined,
  name: string,
  uri: string,
): MigrationError {
  const why = cause ? `${cause.message}. ` : "";
  const side = cause?.side ?? null;
  switch (settled.outcome) {
    case "stays":
      return cause && cause.kind !== "refused" && cause.kind !== "unknown"
        ? cause
        : withKind(cause ?? new MigrationError("failed", "failed", null, "Not migrated"), "failed");
    case "stuck":
      return new MigrationError(
        "failed",
        "guest-not-resumed",
        "source",
        `${why}The destination does not have domain ${name}, and libvirt could not resume it here: ` +
          `${settled.why}. Run: virsh -c ${uri} resume ${name}`,
        { cause },
      );
    case "ended":
      return new MigrationError(
        "failed",
        "domain-ended",
        "source",
        `${why}Domain ${name} is shut off (${
          settled.reason || "no reason"
        }) at the source, and the destination does not have it`,
        { cause },
      );
    case "unknown":
      if (settled.postcopy) {
        const message =
          `${why}Post-copy of domain ${name} was cut off, and each host has a part of its RAM: ` +
          `${settled.why}. Neither resume nor destroy it on either host: that loses the guest`;
        return new MigrationError("unknown", "postcopy-failed", side, message, { cause });
      }
      return new MigrationError(
        "unknown",
        "domain-unsettled",
        side,
        `${why}It is not known which host has domain ${name}: ${settled.why}`,
        { cause },
      );
  }
}

/**
 * How the user finds out where the guest is, and what follows; commands and sentences.
 *
 * @param code of the error that was reported.
 */
export function unsettledAdvice(record: DomainSourceRecord, code: ErrorCode): string[] {
  const { uuid, name, uri, uriThere, destination } = record;
  if (code === "postcopy-failed") {
    return [
      "send the rest of the RAM: virsh migrate --postcopy-resume, as docs/libvirt.md says under Post-copy",
      `afterwards 'vmferry domain ${name} ${destination}' (with the options of this run) finds out that ` +
      "the domain has moved",
    ];
  }
  return [
    `at the destination, see whether the guest runs there: virsh -c ${uriThere} domstate ${uuid} --reason`,
    `if both hosts can be reached: 'vmferry domain ${name} ${destination}' (with the options of this run) ` +
    "finds out and settles it",
    `only if it runs there: virsh -c ${uri} destroy ${uuid}`,
    `only if it has not run at the destination since, and never will: virsh -c ${uri} resume ${uuid}`,
  ];
}
