import { directoryOf, nameOf } from "../../host/mod.ts";
import { type Logger, messageOf } from "../../io/mod.ts";
import { bootUnitName, type LeftGuest } from "../../launch/mod.ts";
import { stateDirectory } from "../host/launch_host.ts";
import { runProgram } from "../host/run_program.ts";
import { type LeftUnits, type Retired, retireUnits } from "../host/source_unit.ts";
import { markMoved } from "./mark_moved.ts";

/** A guest that has left this host. */
export interface Leaving extends Omit<LeftUnits, "own"> {
  readonly guest: LeftGuest;
  /** Where it runs now, for people. */
  readonly to: string;
}

/**
 * Keeps this host from starting a guest again that has left it: `start.sh` and the unit of an earlier launch to
 * this host, and the unit in which its QEMU runs. Never rejects.
 */
export async function leaveHost(
  { guest, to, process, persist }: Leaving,
  log: Logger,
): Promise<Retired> {
  const text = `This guest was moved to ${to} on ${new Date().toISOString()}`;
  const messages: string[] = [];
  let marked: readonly string[] = [];
  try {
    marked = await markMoved(await stateDirectory(), guest, text);
    for (const path of marked) log.log("info", `${path} keeps start.sh from starting the old copy`);
  } catch (error) {
    const why = messageOf(error);
    messages.push(`start.sh of an earlier launch may still start the guest at the source: ${why}`);
  }
  const own = marked.map((path) => bootUnitName(nameOf(directoryOf(path))));
  const retired = await retireUnits(runProgram, { process, own, persist }, Deno.uid() ?? 0);
  return { ...retired, messages: [...messages, ...retired.messages] };
}
