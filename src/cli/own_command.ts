import { buildKind } from "./version.ts";

/** A copy that a source has sent here over ssh (src/transport/ssh/start_script.ts). */
const CARRIED = /\/carried-[^/]+\/[0-9a-f]{64}\/vmferry$/;

/** The file that this process was started by, as far as it is known. */
export function ownPath(): string {
  switch (buildKind()) {
    case "compiled":
      return Deno.execPath();
    case "packed":
      return Deno.env.get("VMFERRY_FILE") ?? "";
    case "source":
      return "";
  }
}

/** How a user starts this program on this host. A copy that a source has sent is not in PATH. */
export function ownCommand(path = ownPath()): string {
  return CARRIED.test(path) ? path : "vmferry";
}
