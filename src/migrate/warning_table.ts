/**
 * Every code of a `warning` event that `--json` prints, but for the rules of the comparison
 * (machine/rules.ts), which are codes as well. docs/errors.md is made of this table (`tools/docs/errors.ts`).
 *
 * @module
 */
import type { RuleName } from "./machine/rules.ts";

/** What each warning means, a sentence; nothing has failed. */
export const WARNINGS = {
  "asking-again": "The guest was handed over and the answer is missing; vmferry asks again.",
  "block-differed":
    "With `--verify`: blocks of a disk differed once the guest was paused, or blocks of an image " +
    "after the copy. They were sent again and are the same now.",
  "copy": "An image is copied, but not as the user may expect: from the start, for example.",
  "destination":
    "The destination warns of something as it prepares, such as a disk with no counterpart.",
  "destination-quit": "The destination's QEMU had loaded the whole guest and was ended, so that " +
    "nobody runs the guest twice. Start it again with -incoming defer.",
  "destination-silent":
    "The destination's QEMU answers no QMP command after a migration with `--multifd` that failed. " +
    "Kill its process and start it again with -incoming defer.",
  "domain": "The check of a domain found something that does not prevent its migration.",
  "guest-held": "The guest was paused for a moment, so that a disk's mirror could get ready.",
  "guest-io-error": "A disk of the guest had an I/O error; the guest knows it and keeps running.",
  "guest-paused": "Somebody paused the guest; it stays paused at the destination.",
  "guest-reset": "The guest was reset, by itself or by somebody; the migration continues.",
  "guest-stands": "The guest ran at the destination and is paused again for a reason of its own.",
  "guest-suspended":
    "The guest is paused until the rest is copied; it runs again at the destination.",
  "hook-failed": "`--hook-after` failed or took too long; the outcome stays as it is.",
  "launch": "The plan of a launch found something that does not prevent it.",
  "machines-not-compared":
    "The destination's vmferry is too old to describe its machine ([comparison.md](comparison.md)).",
  "metrics": "The file of `--metrics` cannot be written any more; the migration goes on.",
  "mirror-not-converging": "The guest writes to a disk faster than the copy crosses.",
  "mirror-write-blocking":
    "The same, and from now on the guest's writes wait until the destination has them too.",
  "not-asked": "`recover` could not ask the destination whether it runs the guest.",
  "not-authenticated": "Every user of this host can connect to the address that is listened on.",
  "not-encrypted": "Anybody on the way can read and change what crosses.",
  "not-proved": "With `--verify`: the guest wrote to some blocks faster than they were compared.",
  "not-thin": "A disk's unused blocks take space at the destination.",
  "not-undone": "A step could not be undone; the next run with this QEMU finishes it.",
  "quit-failed": "The guest has arrived, and the source's QEMU could not be ended.",
  "ram-not-converging": "The guest changes RAM faster than RAM crosses.",
  "report": "The file of `--report` cannot be written any more; the migration goes on.",
  "session-lost": "`forward` lost its session and waits for the next one.",
  "single-pass": "The source's QEMU sends RAM in one pass with the guest paused.",
  "small-packets-only": "Small packets cross and large ones do not: the path's MTU is too small.",
  "source-left": "A source gave up before its migration began, because a check refused it, for " +
    "example; the destination waits for the next one.",
  "source-unit":
    "A systemd unit of the source would start the guest a second time, or was kept from it.",
  "stays-behind": "A medium or a state that does not cross, such as a snapshot in a disk image.",
  "storage": "A disk stays on its storage because the user said that both sides share it.",
  "sync-full": "A disk is copied with everything although `--sync top` was given.",
  "ticket-in-argv": "The ticket is in the command line, where other users of this host see it.",
  "too-late": "It is too late to cancel: the guest is being handed over.",
} as const satisfies Record<string, string>;

/** A code of a `warning` event. */
export type WarningCode = keyof typeof WARNINGS | RuleName;
