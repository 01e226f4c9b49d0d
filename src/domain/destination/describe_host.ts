/**
 * Answers `describeDomainHost`: the destination's libvirt, and what it lets this user do.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { hostVersion, parseCapabilities, VirshError } from "../../libvirt/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import type { Result } from "../../rpc/mod.ts";
import type { DestinationHost } from "./host.ts";
import { ownerOfLabel, type QemuOwner, socketDirs } from "./socket_dir.ts";

/** What all calls of a source need to know about the host. */
export interface LibvirtHost {
  readonly hostUuid: string;
  readonly owner: QemuOwner;
  /** The same where it is the domain's own; `null` where it is libvirt's. */
  readonly own: QemuOwner;
}

/**
 * Asks libvirt for its host.
 *
 * @param label the domain's own user, which libvirt runs QEMU as where it can change its user at all.
 * @throws {MigrationError} kind `refused`, code `libvirt-unreachable`.
 */
export async function askLibvirt(
  host: DestinationHost,
  label: string | null = null,
): Promise<LibvirtHost> {
  try {
    const capabilities = parseCapabilities(await host.virsh.call(["capabilities"]));
    const owner = capabilities.qemuOwner("kvm") ?? capabilities.qemuOwner("qemu");
    const hostUuid = capabilities.hostUuid ?? "";
    if (label === null || owner === null) return { hostUuid, owner, own: null };
    const own = await ownerOfLabel(host.run, label);
    return { hostUuid, owner: own, own };
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw unreachable(host, error);
  }
}

/** Describes the host. Refuses as {@link askLibvirt} and {@link socketDirs}. */
export async function describeDomainHost(
  host: DestinationHost,
): Promise<Result<"describeDomainHost">> {
  const [{ hostUuid, owner }, { daemon, hypervisor }] = await Promise.all([
    askLibvirt(host),
    hostVersion(host.virsh).catch((error) => {
      throw unreachable(host, error);
    }),
  ]);
  return {
    libvirt: daemon ?? "unknown",
    qemu: hypervisor?.split(" ").at(-1) ?? "unknown",
    hostUuid,
    uri: host.virsh.uri,
    user: host.user.name,
    socketDirs: await socketDirs(host, owner),
    interfaces: host.interfaces().slice(0, 4096),
  };
}

/** The refusal of a host whose libvirt does not answer, with libvirt's own words. */
function unreachable(host: DestinationHost, error: unknown): MigrationError {
  const { virsh, user } = host;
  const words = error instanceof VirshError ? error.text : messageOf(error);
  const message = `libvirt (${virsh.uri}) does not answer ${user.name}: ${words}. ` +
    adviceOn(host, error);
  return new MigrationError("refused", "libvirt-unreachable", "destination", message, {
    cause: error,
  });
}

function adviceOn({ virsh, user }: DestinationHost, error: unknown): string {
  if (error instanceof VirshError && error.failure === "not-found") {
    return "Install virsh (package libvirt-clients) and libvirt's daemon";
  }
  const start = "Start it (systemctl start virtqemud.socket, or libvirtd.socket)";
  if (user.uid === 0 || !virsh.uri.endsWith("/system")) return start;
  return `${start}. If it runs, it has to admit ${user.name}: usermod -aG libvirt ${user.name}`;
}
