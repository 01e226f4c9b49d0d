import { DEFAULT_URI, Virsh } from "../../libvirt/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { DomainMigrationOptions } from "./options.ts";
import type { SourcePlan } from "./plan.ts";
import { throughSocket } from "./run/command.ts";
import type { Sessions } from "./sessions.ts";
import type { Sockets } from "./sockets.ts";

/** Socket of the checks, to the destination's libvirt. */
const CHECKS = "libvirt.sock";

/** A domain that can be migrated. */
export interface Checked {
  readonly plan: SourcePlan;
  /** The destination's libvirt, through the tunnel. */
  readonly destination: Virsh;
}

/**
 * Connects to the destination's libvirt, and checks the domain and both hosts. Changes nothing.
 *
 * @throws {MigrationError} kind `refused` with every problem.
 */
export async function checkFirst(
  options: DomainMigrationOptions,
  source: Virsh,
  sessions: Sessions,
  sockets: Sockets,
): Promise<Checked> {
  const { host, signal, check } = options;
  const uri = await sessions.describe(signal).then((there) => there.uri, (error) => {
    // The check says what is wrong.
    if (error instanceof RpcError) return DEFAULT_URI;
    throw error;
  });
  const socket = host.own(CHECKS);
  await sockets.serve(socket, "libvirt");
  const destination = new Virsh({ run: host.run, uri: throughSocket(uri, socket) });
  const plan = await check({ source, destination, peer: sessions.peer!, signal });
  return { plan, destination };
}
