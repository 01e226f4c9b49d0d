import { type Logger, messageOf, systemClock, withDeadline } from "../io/mod.ts";
import { MigrationError, type Side } from "../migrate/mod.ts";
import { QmpClient } from "../qmp/mod.ts";
import { connectUnix } from "../tunnel/mod.ts";

/** How long a QMP socket may take to be connected, ms; more means that its backlog is full. */
const CONNECT_MS = 5000;

/**
 * Connects to QEMU's QMP socket.
 *
 * @param side which end it is; `null` where QEMU is yet to say.
 * @throws {MigrationError} kind `refused`, saying whether nobody listens or somebody else holds it.
 */
export async function openQmp(path: string, side: Side | null, log: Logger): Promise<QmpClient> {
  const late = new AbortController();
  try {
    const pipe = await withDeadline(
      systemClock,
      CONNECT_MS,
      `${path} to be connected`,
      connectUnix(path, late.signal),
    );
    return await QmpClient.open(pipe, { log });
  } catch (error) {
    late.abort(error);
    const message = `QMP: ${messageOf(error)}`;
    throw new MigrationError("refused", "qmp-unreachable", side, message, { cause: error });
  }
}
