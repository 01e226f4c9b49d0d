/**
 * `--connections`: the lanes of a session, opened before anything is touched.
 *
 * @module
 */
import { abortable } from "../../io/mod.ts";
import { type Session, SessionError } from "../../tunnel/mod.ts";
import { MigrationError } from "../errors.ts";

/**
 * Opens the connections that `--connections` asks for.
 *
 * @throws {MigrationError} kind `refused`, code `connections`, when the destination allows fewer or
 * one of them cannot be made.
 */
export async function openConnections(
  session: Pick<Session, "openLanes" | "lacksLanes" | "first">,
  signal: AbortSignal,
): Promise<void> {
  if (!session.lacksLanes) return;
  try {
    await abortable(session.openLanes(), signal);
  } catch (error) {
    if (!(error instanceof SessionError) || session.first.state === "ended") throw error;
    const message = `${error.message}. Give fewer --connections, or none`;
    throw new MigrationError("refused", "connections", "destination", message, { cause: error });
  }
}
