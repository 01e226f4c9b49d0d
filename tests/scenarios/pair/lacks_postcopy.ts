import { accelerator } from "../support/qemu_arguments.ts";
import { qemuBinary, qemuMajor } from "./versions.ts";

/** Why post-copy cannot be tried, else `undefined`. vmferry refuses it for a QEMU before 9.0 with TCG. */
export function lacksPostcopy(): string | undefined {
  if (accelerator() === "kvm") return undefined;
  const old = (["source", "dest"] as const).map(qemuBinary).find((binary) => qemuMajor(binary) < 9);
  return old && `${old} is older than 9.0, and without /dev/kvm it loses writes in post-copy. ` +
      "QEMU=10.0 has it";
}
