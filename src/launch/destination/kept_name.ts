import type { Params } from "../../rpc/mod.ts";
import type { LaunchHost } from "./host.ts";
import type { LaunchRecord } from "./record.ts";

/** How long a look at what an earlier launch has kept may take, ms. */
const LOOK_MS = 10_000;

type Guest = Params<"prepareLaunch">["guest"];

/**
 * The name under which a guest's command line and unit are kept. A guest that comes again replaces its own; one
 * whose name is written in the same way gets another name, always the same.
 */
export async function keptName(
  { run, stateDir }: Pick<LaunchHost, "run" | "stateDir">,
  { record: { name }, params: { guest } }: {
    readonly record: Pick<LaunchRecord, "name">;
    readonly params: Pick<Params<"prepareLaunch">, "guest">;
  },
): Promise<string> {
  const path = `${stateDir}/${name}/command.json`;
  const argv = ["sh", "-c", 'cat -- "$1" 2>/dev/null || :', "sh", path];
  const { stdout } = await run(argv, { timeoutMs: LOOK_MS });
  const kept = guestIn(stdout);
  if (kept === undefined || isSame(kept, guest)) return name;
  const text = new TextEncoder().encode(`${guest.name ?? ""}\n${guest.uuid ?? ""}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const hex = [...digest.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${name}-${hex}`;
}

function guestIn(text: string): Guest | undefined {
  try {
    const { guest } = Object(JSON.parse(text));
    return Object(guest) === guest ? guest : undefined;
  } catch {
    return undefined;
  }
}

function isSame(a: Guest, b: Guest): boolean {
  return a.name === b.name && (a.uuid === b.uuid || a.uuid === null || b.uuid === null);
}
