/**
 * Answers `describeDomainHost`: the destination's libvirt, and what it lets this user do.
 *
 * @module
 */
import { messageOf } from "../../io/mod.ts";
import { hostVersion, parseCapabilities, VirshError } from "../../libvirt/mod.ts";
import { MigrationError } from "../../migrate/mod.ts";
import { type Result, RpcError } from "../../rpc/mod.ts";
import type { DestinationHost } from "./host.ts";
import { isSocketDir, ownerOfLabel, type QemuOwner, socketDirs } from "./socket_dir.ts";

/** What all calls of a source need to know about the host. */
export interface LibvirtHost {
  readonly hostUuid: string;
  readonly owner: QemuOwner;
}

/** Whom the files of a domain are for. */
export interface Owners {
  /** The user that libvirt runs this domain's QEMU as. */
  readonly owner: QemuOwner;
  /** The same where it is the domain's own; `null` where it is libvirt's. */
  readonly own: QemuOwner;
}

/**
 * Asks libvirt for its host.
 *
 * @throws {MigrationError} kind `refused`, code `libvirt-unreachable`.
 */
export async function askLibvirt(host: DestinationHost): Promise<LibvirtHost> {
  try {
    const capabilities = parseCapabilities(await host.virsh.ask(["capabilities"]));
    const owner = capabilities.qemuOwner("kvm") ?? capabilities.qemuOwner("qemu");
    return { hostUuid: capabilities.hostUuid ?? "", owner };
  } catch (error) {
    throw unreachable(host, error);
  }
}

/** Describes the host. Refuses as {@link askLibvirt} and {@link socketDirs}. */
export async function describeDomainHost(
  host: DestinationHost,
): Promise<Result<"describeDomainHost">> {
  return await new DescribedHost(host).describe();
}

/** The host, and what its last description was made from: a source asks for one before it prepares. */
export class DescribedHost {
  readonly #host: DestinationHost;
  #libvirt: LibvirtHost | undefined;

  /** Asks nothing yet. */
  constructor(host: DestinationHost) {
    this.#host = host;
  }

  /** As {@link describeDomainHost}. */
  async describe(): Promise<Result<"describeDomainHost">> {
    const host = this.#host;
    const [libvirt, { daemon, hypervisor }] = await Promise.all([
      askLibvirt(host),
      hostVersion(host.virsh).catch((error) => {
        throw unreachable(host, error);
      }),
    ]);
    const { hostUuid, owner } = this.#libvirt = libvirt;
    return {
      libvirt: daemon ?? "unknown",
      qemu: hypervisor?.split(" ").at(-1) ?? "unknown",
      hostUuid,
      uri: host.virsh.uri,
      user: host.user.name,
      socketDirs: await socketDirs(host, owner),
      interfaces: host.interfaces().slice(0, 4096),
      hashes: true,
    };
  }

  /**
   * The owners of a domain's files.
   *
   * @param label the domain's own user, which libvirt runs QEMU as where it can change its user at all.
   * @throws {RpcError} `bad-params` for a directory of sockets that a source may not choose.
   * @throws {MigrationError} as {@link describeDomainHost} and {@link ownerOfLabel}.
   */
  async ownersOf(socketDir: string, label: string | null): Promise<Owners> {
    const libvirt = this.#libvirt ?? await askLibvirt(this.#host);
    const isOwn = label !== null && libvirt.owner !== null;
    const own = isOwn ? await ownerOfLabel(this.#host.run, label) : null;
    const owner = own ?? libvirt.owner;
    const parents = await socketDirs(this.#host, owner);
    if (isSocketDir(socketDir, parents)) return { owner, own };
    throw new RpcError("bad-params", `${socketDir} is not in ${parents.join(", ")}`);
  }
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
