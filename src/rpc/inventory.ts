/**
 * The shape of an inventory: one end's machine, as the destination sends it to the source. It has what
 * decides whether QEMU can load the migration stream, and what the guest would notice afterwards.
 * Sizes in bytes.
 *
 * @module
 */
import { integer, list, nullable, object, record, text, type TypeOf } from "./schema.ts";

const word = text(256);

/** Devices in one answer of `describe`: an answer stays below the limit of a message. */
export const DEVICES_PER_PAGE = 128;

/** A device of the tree; its parent comes before it. */
const device = object({
  /** Index of its parent in the whole list; -1 for a device of the machine itself. */
  parent: integer(-1, 1 << 20),
  /** Identifies it at both ends: its parent's key and its address on the parent's bus. */
  key: text(4096),
  /** Type of the bus it is on, such as `PCIE`. */
  bus: word,
  /** QOM type, such as `virtio-blk-pci`. */
  type: word,
  /** As given by `id=`; empty without one. */
  id: text(1024),
  /** As QEMU writes it, such as `0000:00:03.0`; empty for a device that has none. */
  address: text(1024),
  properties: record(text(1024), 512),
});

const machine = object({
  /** QEMU's version, such as `10.0.2`. */
  version: word,
  /** Machine type, such as `pc-q35-7.2`. */
  type: word,
  /** Machine properties that are on or off, such as `smm`. */
  properties: record(word, 512),
  /** Architecture as QEMU calls it, such as `x86_64`. */
  target: word,
  /** `kvm`, or `tcg` for any other accelerator. */
  accelerator: word,
  cpu: object({
    /** QOM type of the first vCPU, such as `qemu64-x86_64-cpu`. */
    type: word,
    /** Number of vCPUs, present and possible; 0 if QEMU does not report it. */
    present: integer(),
    possible: integer(),
    /** CPUID words that the guest sees (x86 only), such as `7.0.EBX`: the bits. */
    words: record(integer(0, 2 ** 32 - 1), 256),
    /**
     * Features that no CPUID word shows (x86): Hyper-V enlightenments, VMX controls, PMU. `true` or
     * `false`.
     */
    switches: nullable(record(word, 512)),
    /** vendor, family, model and stepping, if the architecture has them. */
    identity: record(word, 16),
  }),
  ramBlocks: list(object({ name: text(1024), usedBytes: integer(), maxBytes: integer() }), 8192),
  /** Devices that were added (-device, device_add), on a bus or not, such as vmgenid and DIMMs. */
  objects: nullable(list(object({ id: text(1024), type: word }), 4096)),
  /** Queue pairs of each NIC, by its id. */
  nicQueues: record(integer(), 1024),
  /** Models of the TPMs, such as `tpm-crb`. */
  tpms: list(word, 16),
  /** Drives that are not copied, such as a CD. `sizeBytes` is `null` without a medium. */
  media: list(object({ name: text(1024), sizeBytes: nullable(integer()) }), 1024),
});

/** The answer of `describe`. */
export const describePage = object({
  machine,
  devices: list(device, DEVICES_PER_PAGE),
  /** Number of pages. */
  pages: integer(1, 4096),
});

/** The machine in an inventory. */
export type MachineDescription = TypeOf<typeof machine>;
/** A device in an inventory. */
export type DeviceDescription = TypeOf<typeof device>;

/** A whole inventory, from all pages of `describe`. */
export interface Inventory {
  /** From the first page. */
  readonly machine: MachineDescription;
  /** From all pages; a parent comes before its children. */
  readonly devices: readonly DeviceDescription[];
}
