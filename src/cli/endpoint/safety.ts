/**
 * Whether an address is as safe as the user wants it.
 *
 * @module
 */
import { type Address, formatAddress, transportOf } from "../../transport/mod.ts";
import type { CommonOptions } from "../args/common.ts";
import { UsageError } from "../args/usage_error.ts";

/**
 * Compares an address with `--insecure` and `--secret-file`.
 *
 * @returns a warning that is due, if any.
 * @throws {UsageError} when others could read or change the bytes on the way and the user did not
 * allow that.
 */
export function checkSafety(
  address: Address,
  options: Pick<CommonOptions, "insecure" | "secretFile">,
): string | undefined {
  const text = formatAddress(address);
  const transport = transportOf(address);
  if (transport.encryption !== "none") {
    if (options.insecure) {
      throw new UsageError(`${text} is encrypted; --insecure asks for the opposite`);
    }
    if (transport.hasSecret && options.secretFile !== undefined) {
      throw new UsageError(`${text} has a secret of its own: remove --secret-file`);
    }
    return undefined;
  }
  if (transport.isLocal(address)) return undefined;
  if (!options.insecure) {
    throw new UsageError(
      `${text} goes beyond this machine and plain ${transport.name} is not encrypted: use the ` +
        "vmferry:// address that 'vmferry receive' shows, or give --insecure on both ends if the " +
        "network between them is yours alone",
    );
  }
  if (options.secretFile === undefined) {
    throw new UsageError(
      `${text} goes beyond this machine: give --secret-file on both ends, or anybody could connect`,
    );
  }
  return `${text} is not encrypted: others on the way can read and change RAM and disks`;
}
