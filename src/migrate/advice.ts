import { SessionError } from "../tunnel/mod.ts";
import { MigrationError } from "./errors.ts";

/** What to do next after a failure, by its code; those that say so themselves are not here. */
const ADVICE: Readonly<Record<string, string>> = {
  "disk-full": "make room there and migrate again",
  "disk-write-failed":
    "look at the storage under that disk and at what QEMU and the kernel say of it, then migrate again",
  "disk-read-failed": "the guest meets the same error where it reads there: look at the storage " +
    "under that disk, or leave the disk out with --disk",
  "guest-io-error":
    "mend the storage and continue the guest with 'cont' in QEMU's monitor, which " +
    "tries the request again; then migrate again",
  "machines-differ":
    "start the destination's QEMU with the same machine and devices as the source's; where a difference " +
    "is meant to be, --allow with the rule in brackets lets it pass",
  "guest-shutdown": "start the guest where it is wanted; there is no running guest left to move",
  "guest-panicked": "look at the guest at the source, reset it and migrate again",
  "guest-stopped": "look at the guest at the source; migrate again when it runs",
  "source-qemu-gone":
    "see in its log and the kernel's why it ended, and start the guest again there",
  "destination-qemu-gone":
    "see in its log and the kernel's why it ended, start it anew with -incoming defer, migrate again",
  "ram-failed": "see in the destination's QEMU log why, start it anew with -incoming defer, and " +
    "migrate again",
  "not-loaded":
    "start the destination's QEMU anew with -incoming defer and with the same devices " +
    "as the source's, then migrate again",
  "not-seen-running":
    "ask QEMU itself how the guest is (query-status); 'vmferry recover' on both " +
    "hosts says what follows",
  "guest-asleep-stuck":
    "the guest's RAM cannot be resumed here: see whether the destination has it; if not, " +
    "'system_reset' and then 'cont' in QEMU's monitor start the guest anew from its disks",
  "connection-lost": "when the link is back, start 'vmferry receive' and 'vmferry migrate' again",
  "timeout":
    "give it more time (migrate --timeout) or bandwidth, or let it pause the guest rather " +
    "than give up (--timeout-action pause)",
};

/** The same where the message quotes QEMU's log. */
const QUOTED: Readonly<Record<string, string>> = {
  "source-qemu-gone": "start the guest again there",
  "destination-qemu-gone": "start it anew with -incoming defer, then migrate again",
};

const NO_SOURCE = "start 'vmferry migrate' at the source while 'vmferry receive' waits here; it " +
  "waits for ever without --timeout";
const NOBODY_THERE = "is 'vmferry receive' running there, and may this host connect to its port?";

/** Whatever it failed of: QEMU takes one incoming migration in its life. */
const ANEW = "memory had begun to cross: start the destination's QEMU anew with -incoming defer " +
  "before the next try";

/** Disks were copied by then, and a QEMU that is started anew does not know whose copies they are. */
const KEPT =
  "the destination's disks hold a copy now: add --reuse NAME to migrate for each one that " +
  "the new QEMU opens again";

/**
 * What to do next after a failure, in words; nothing where its message says all.
 *
 * @param memoryBegan memory had begun to cross, or may have.
 */
export function adviceOn(error: MigrationError, memoryBegan = false): string[] {
  const steps = stepsAfter(error);
  if (!memoryBegan) return steps;
  const saysSo = steps.some((step) => step.includes("anew"));
  return [...steps, ...(saysSo ? [] : [ANEW]), KEPT];
}

function stepsAfter({ code, side, cause, quoted }: MigrationError): string[] {
  if (quoted && Object.hasOwn(QUOTED, code)) return [QUOTED[code]!];
  if (code === "timeout" && side === "destination") return [NO_SOURCE];
  if (code === "unreachable") {
    // Somebody who answered and was not the one, or an ssh: the message says what is wrong.
    const session = cause instanceof MigrationError ? cause.cause : cause;
    return session instanceof SessionError && session.unanswered ? [NOBODY_THERE] : [];
  }
  return Object.hasOwn(ADVICE, code) ? [ADVICE[code]!] : [];
}
