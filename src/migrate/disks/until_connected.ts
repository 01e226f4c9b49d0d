import type { Clock } from "../../io/mod.ts";
import { MigrationError } from "../errors.ts";
import { CONNECT_MS, type Connections } from "./mirror_retry.ts";

/** Ready mirrors, and the ways to their targets. */
export interface ReadyMirrors {
  /** Number of the targets. */
  readonly targets: number;
  readonly connections: () => Connections;
  /** Resolves when every mirror is ready. */
  readonly allReady: () => Promise<void>;
  /** Reads from every target, so that QEMU connects it again. */
  readonly touch: () => Promise<void>;
  /** Resolves after the next look at the jobs. */
  readonly nextLook: () => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Waits until every mirror is ready and every target has a connection. QEMU does not notice a lost connection
 * while there is nothing to write.
 *
 * @throws {MigrationError} code `mirror-stuck`, when QEMU does not reconnect a target although the
 * destination can be reached; the signal's reason.
 */
export async function untilConnected(mirrors: ReadyMirrors): Promise<void> {
  const { clock, connections, signal, targets } = mirrors;
  let since = clock.now();
  while (true) {
    await mirrors.allReady();
    const { open, away } = connections();
    if (!away && open >= targets) return;
    if (away) since = clock.now();
    if (clock.now() - since > CONNECT_MS) {
      const message = "The source's QEMU did not connect to the destination's disks again " +
        `within ${CONNECT_MS / 1000} s`;
      throw new MigrationError("failed", "mirror-stuck", "source", message);
    }
    signal.throwIfAborted();
    // A read from a silent server would block QEMU, and the guest with it.
    if (!away) await mirrors.touch();
    await mirrors.nextLook();
  }
}
