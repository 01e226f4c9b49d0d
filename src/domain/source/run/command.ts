/**
 * The command line of the `virsh migrate`. Pure.
 *
 * @module
 */
import { type MigrateOptions, parseLibvirtUri, uriWithSocket } from "../../../libvirt/mod.ts";
import type { SourcePlan } from "../plan.ts";

/** Where the sockets of a migration are. */
export interface SocketPaths {
  /** Relay to this host's libvirt. */
  readonly source: string;
  /** The destination's libvirt. */
  readonly destination: string;
  /** The directory of `ram.sock` and `nbd.sock`, the same on both hosts. */
  readonly qemuDir: string;
}

/** The URI of the connection through another socket. */
export function throughSocket(uri: string, socket: string): string {
  return uriWithSocket(parseLibvirtUri(uri), socket);
}

/**
 * The program and its arguments. libvirt's own keepalive is off: a virsh that gave the connection up by
 * itself would resume the source, though the tunnel may come back.
 */
export function migrateCommand(
  plan: Pick<SourcePlan, "copied" | "copyStorage"> & {
    readonly domain: { readonly uuid: string };
    readonly host: { readonly uri: string };
  },
  options: Pick<MigrateOptions, "pass">,
  uri: string,
  paths: SocketPaths,
): string[] {
  const { copied, copyStorage } = plan;
  const disks = copyStorage === null ? [] : [
    `--copy-storage-${copyStorage}`,
    `--migrate-disks=${copied.join(",")}`,
    `--disks-uri=unix://${paths.qemuDir}/nbd.sock`,
  ];
  return [
    ...["virsh", "--keepalive-interval", "0", "--connect", throughSocket(uri, paths.source)],
    ...["migrate", "--live", ...disks, `--migrateuri=unix://${paths.qemuDir}/ram.sock`],
    ...options.pass,
    `--desturi=${throughSocket(plan.host.uri, paths.destination)}`,
    `--domain=${plan.domain.uuid}`,
  ];
}
