import { accelerator } from "../support/qemu_arguments.ts";
import { qemuBinary, qemuMajor } from "./versions.ts";

/**
 * Why RAM crosses in a single pass, and not by post-copy; `undefined` where it need not: docs/decisions.md has what
 * a QEMU before 9.0 loses with TCG.
 */
export function singlePass(): string | undefined {
  if (accelerator() === "kvm") return undefined;
  const old = (["source", "dest"] as const).map(qemuBinary).find((binary) => qemuMajor(binary) < 9);
  return old &&
    `${old} is older than 9.0, and without /dev/kvm it loses writes when it sends RAM ` +
      "more than once, or by post-copy. QEMU=10.0 does not";
}
