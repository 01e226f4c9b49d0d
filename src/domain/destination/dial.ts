/**
 * Connections to what a destination's channels lead to.
 *
 * @module
 */
import { type BytePipe, delay, rootOf } from "../../io/mod.ts";
import { FinishGate } from "./finish_gate.ts";
import type { DestinationHost } from "./host.ts";
import { AnsweredPings } from "./keepalive.ts";

/** How long QEMU may take to make a socket that is dialed, ms. */
const SOCKET_MS = 20_000;
/** Time between two tries, ms. */
const RETRY_MS = 100;

/** Connects to the first of libvirt's sockets that answers; a Finish waits for `beforeFinish`. */
export async function dialLibvirt(
  { connectUnix }: Pick<DestinationHost, "connectUnix">,
  sockets: readonly string[],
  beforeFinish: () => Promise<void>,
): Promise<BytePipe> {
  let first: unknown;
  for (const path of sockets) {
    try {
      return new FinishGate(new AnsweredPings(await connectUnix(path)), beforeFinish);
    } catch (error) {
      // The first one that exists has the reason.
      if (first === undefined || isMissing(first)) first = error;
    }
  }
  throw first ?? new Error("libvirt has no socket");
}

/** Connects to a socket that QEMU makes, perhaps a moment later. */
export async function dialQemu(
  { connectUnix, clock }: Pick<DestinationHost, "connectUnix" | "clock">,
  path: string,
  isTooLate: () => boolean,
): Promise<BytePipe> {
  const until = clock.now() + SOCKET_MS;
  while (true) {
    try {
      return await connectUnix(path);
    } catch (error) {
      if (isTooLate() || clock.now() >= until) throw error;
    }
    await delay(clock, RETRY_MS);
  }
}

function isMissing(error: unknown): boolean {
  const root = rootOf(error);
  return root instanceof Error && root.name === "NotFound";
}
