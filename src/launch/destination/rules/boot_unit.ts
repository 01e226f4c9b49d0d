/**
 * Why the unit of `--persist` cannot be written. Changes nothing: after the guest has come here it would be too
 * late, as the source's own unit is disabled then.
 *
 * @module
 */
import { command } from "../../../host/mod.ts";
import type { LaunchHost } from "../host.ts";
import { bootUnitPath, MARK } from "../names.ts";
import type { Fault } from "./file_faults.ts";

/** Prints `foreign` if `$1` does not begin with `$2`, or `read-only` if it can't be created. */
const LOOK = `
if [ -e "$1" ] || [ -L "$1" ]; then
  [ "$(head -n 1 -- "$1")" = "$2" ] || echo foreign
fi
directory=\${1%/*}
while [ ! -e "$directory" ]; do directory=\${directory%/*}; [ -n "$directory" ] || directory=/; done
[ -w "$directory" ] || echo read-only
`;

/**
 * Finds it.
 *
 * @param name under which the guest is kept.
 */
export async function bootUnitFaults(host: LaunchHost, name: string): Promise<Fault[]> {
  const path = bootUnitPath(host, name);
  const text = await command(host.run, ["sh", "-c", LOOK, "sh", path, MARK]);
  const fault = (message: string): Fault => ({ code: "host-unfit", message });
  return [
    ...(text.includes("foreign")
      ? [
        fault(
          `${path} exists at the destination, and vmferry has not written it. Remove it, or leave ` +
            "--persist out",
        ),
      ]
      : []),
    ...(text.includes("read-only")
      ? [fault(`${path} cannot be written at the destination. Leave --persist out`)]
      : []),
  ];
}
