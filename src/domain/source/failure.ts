import { RpcError } from "../../rpc/mod.ts";
import { type ProgramResult } from "../../host/mod.ts";
import { libvirtText, VirshError } from "../../libvirt/mod.ts";
import {
  asMigrationError,
  ERRORS,
  type FailureKind,
  MigrationError,
  type Side,
} from "../../migrate/mod.ts";
import { SessionError } from "../../tunnel/mod.ts";
import { inOneLine } from "./limits.ts";

/** virsh's own words on a connection that vmferry has closed: no cause. */
const FOLLOW_UP = /^Disconnected from .* due to/;

/** libvirt's words (locale C) on a mirror whose target answers ENOSPC, libvirt 9.0. */
const NO_SPACE = /^operation failed: migration of disk \S+ failed: No space left on device$/m;

/** QEMU's words where it cannot receive post-copy (7.2 to 10.0); the source's QEMU does not check it. */
const NO_POSTCOPY = /command 'migrate-set-capabilities': Postcopy is not supported/;

/** The failure of a `virsh migrate` that ended by itself: libvirt's own text, whole. */
export function domainFailed(name: string, { code, stderr }: ProgramResult): MigrationError {
  const lines = libvirtText(stderr).split("\n").filter((line) => !FOLLOW_UP.test(line));
  const text = inOneLine(lines.join("\n")) || `virsh ended with exit code ${code}`;
  const message = `libvirt could not migrate domain ${name}: ${text}`;
  if (NO_POSTCOPY.test(text)) {
    const why =
      `${message}. QEMU's user there may not use userfaultfd, or the guest's RAM cannot: ` +
      "QEMU's log there says which. Set vm.unprivileged_userfaultfd=1 there, or migrate without --postcopy";
    return new MigrationError("failed", "domain-failed", "destination", why, { quoted: true });
  }
  // The source's image is only read for this: the destination's file system is full.
  return NO_SPACE.test(text)
    ? new MigrationError("failed", "disk-full", "destination", message, { quoted: true })
    : new MigrationError("failed", "domain-failed", null, message, { quoted: true });
}

/** Any error of the preparation as a failure of its side. */
export function asDomainError(error: unknown, side: Side): MigrationError {
  if (error instanceof VirshError) {
    const code = error.failure === "not-found" ? "virsh-missing" : "libvirt-unreachable";
    return new MigrationError("refused", code, side, `libvirt: ${inOneLine(error.text)}`, {
      cause: error,
    });
  }
  const failure = asMigrationError(error, "source");
  // The destination refuses with the code of the reason.
  const isRefusal = error instanceof RpcError && kindsOf(failure).includes("refused");
  return isRefusal ? withKind(failure, "refused") : failure;
}

/** Whether an error of the tunnel is the reason for what libvirt reports later, and not the other way round. */
export function isFirstCause(error: unknown): boolean {
  // A stream that was reset, or that found no socket: the destination's libvirt has closed it.
  return error instanceof SessionError || !(error instanceof RpcError);
}

/** A failure that follows a lost connection, with the kind that the guest's state gives it. */
export function withKind(error: MigrationError, kind: MigrationError["kind"]): MigrationError {
  if (error.kind === kind) return error;
  const { code, side, message, problems, peerCode, quoted } = error;
  return new MigrationError(kind, code, side, message, {
    cause: error,
    problems,
    peerCode,
    quoted,
  });
}

function kindsOf({ code }: MigrationError): readonly FailureKind[] {
  return ERRORS[code].kinds;
}
