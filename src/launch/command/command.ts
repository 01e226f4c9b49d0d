/**
 * A QEMU command line as a list of options. Shapes only.
 *
 * @module
 */

/** An option with its value. */
export interface QemuOption {
  /** Its canonical name without dashes, such as `device`; a disk image without an option: `drive-file`. */
  readonly name: string;
  /** Its value as given, such as `virtio-blk-pci,drive=d0,id=vd0`; `null` for an option that has none. */
  readonly value: string | null;
  /** The option as written where that is not `-name`, such as `--device` or `-M`. */
  readonly written?: string;
}

/** A command line. */
export interface QemuCommand {
  /** Name or path of the binary, as it was called. */
  readonly binary: string;
  /** In the given order. */
  readonly options: readonly QemuOption[];
}

/** A command line or a value in it that QEMU would not accept, or that vmferry does not know. */
export class CommandLineError extends Error {
  /** The class, also in a bundle. */
  override name = "CommandLineError";
}
