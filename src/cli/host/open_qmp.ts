import {
  type BytePipe,
  DeadlineError,
  type Logger,
  messageOf,
  rootOf,
  systemClock,
  withDeadline,
} from "../../io/mod.ts";
import { MigrationError, type Side } from "../../migrate/mod.ts";
import { ONE_CLIENT, QmpClient, QmpError } from "../../qmp/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import { vmferryProcesses } from "./processes.ts";

/** How long a QMP socket may take to be connected, ms; more means that its backlog is full. */
const CONNECT_MS = 5000;

/**
 * Connects to QEMU's QMP socket.
 *
 * @param side which end it is; `null` where QEMU is yet to say.
 * @throws {MigrationError} kind `refused`, saying whether nobody listens or somebody else holds it.
 */
export async function openQmp(path: string, side: Side | null, log: Logger): Promise<QmpClient> {
  try {
    return await QmpClient.open(await connect(path), { log });
  } catch (error) {
    const isInUse = error instanceof QmpError && error.code === "no-greeting";
    const user = isInUse ? await vmferryProcesses.userOf(path) : undefined;
    const who = user === undefined ? "" : `. It is ${user}: 'vmferry status' reports on it`;
    const message = `QMP: ${messageOf(error)}${who}${isSilent(error) ? EXPECTED : ""}`;
    throw new MigrationError("refused", "qmp-unreachable", side, message, { cause: error });
  }
}

const EXPECTED = ". Expected a running QEMU with -qmp unix:PATH,server=on,wait=off";

/** Nobody listens: QEMU has ended, or has no such socket. */
function isSilent(error: unknown): boolean {
  const root = rootOf(error);
  return root instanceof Deno.errors.NotFound || root instanceof Deno.errors.ConnectionRefused;
}

async function connect(path: string): Promise<BytePipe> {
  const late = new AbortController();
  const connecting = connectUnix(path, late.signal);
  try {
    return await withDeadline(systemClock, CONNECT_MS, `${path} to be connected`, connecting);
  } catch (error) {
    late.abort(error);
    // Those before us fill its backlog.
    const isFull = error instanceof DeadlineError ||
      rootOf(error) instanceof Deno.errors.WouldBlock;
    if (!isFull) throw error;
    const message = `QEMU takes no connection on ${path}: ${ONE_CLIENT}`;
    throw new QmpError("no-greeting", message, { cause: error });
  }
}

/** Whether somebody listens on the UNIX socket at `path`, with a full backlog, too. */
export async function isListenedOn(path: string): Promise<boolean> {
  try {
    (await connect(path)).close();
    return true;
  } catch (error) {
    return !isSilent(error);
  }
}
