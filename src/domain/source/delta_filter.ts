import type { Logger } from "../../io/mod.ts";
import { DeltaFilter } from "../../migrate/mod.ts";
import type { DomainPeer } from "./destination_peer.ts";

/** Sends of the disks only what the destination lacks. QEMU's mirrors name the exports, not the disks. */
export function deltaFilter(peer: Pick<DomainPeer, "hashBlocks">, log: Logger): DeltaFilter {
  return new DeltaFilter({
    // libvirt's mirrors may make holes: they would zero the whole disk first.
    find: (name) => ({ name, delta: true, options: { noHoles: false, zeroRequests: false } }),
    ask: (disk, range) => peer.hashBlocks({ disk, ...range }),
    log,
  });
}
