/**
 * -blockdev options for media that were added while the guest ran. Pure.
 *
 * @module
 */
import type { RawBlock } from "../../qmp/mod.ts";
import { absolute, type BlockChain, formatOf } from "./block_chain.ts";

/** A -blockdev option, or the reason why there is none. */
export type BlockOption =
  | { readonly option: readonly ["blockdev", string] }
  | { readonly problem: string };

/** Formats that QEMU opens without further options. */
const FORMATS: ReadonlySet<string> = new Set([
  "raw",
  "qcow2",
  "qcow",
  "qed",
  "vdi",
  "vmdk",
  "vpc",
  "vhdx",
]);

/**
 * The option that opens an image as the given device has it open, under the name `node`.
 *
 * @param name of the disk, for messages.
 */
export function blockOption(
  name: string,
  node: string,
  chain: BlockChain,
  { inserted }: RawBlock,
  cwd: string,
): BlockOption {
  const format = formatOf(chain);
  const filters = chain.filters.filter((filter) => !/_top$|^copy-/.test(filter));
  if (!chain.local) return refuse(name, `it is reached by the protocol ${chain.storage.driver}`);
  if (filters.length > 0) return refuse(name, `it has a filter: ${filters.join(", ")}`);
  if (!FORMATS.has(format)) return refuse(name, `its format is ${format}`);
  if (inserted?.image.encrypted) return refuse(name, "it is encrypted");
  if (inserted?.image["format-specific"]?.data?.["data-file"] !== undefined) {
    return refuse(name, "its data lies in a second file");
  }
  const cache = {
    ...(inserted?.cache?.direct ? { direct: true } : {}),
    ...(inserted?.cache?.["no-flush"] ? { "no-flush": true } : {}),
  };
  const common = {
    ...(Object.keys(cache).length > 0 ? { cache } : {}),
    ...(inserted?.ro ? { "read-only": true } : { discard: "unmap" }),
  };
  const zeroes = inserted?.detect_zeroes ?? "off";
  const file = {
    driver: chain.storage.driver,
    filename: absolute(cwd, chain.storage.filename),
    ...common,
  };
  const option = {
    driver: format,
    "node-name": node,
    ...common,
    ...(zeroes === "off" ? {} : { "detect-zeroes": zeroes }),
    file,
  };
  return { option: ["blockdev", JSON.stringify(option)] };
}

function refuse(name: string, why: string): BlockOption {
  return {
    problem:
      `disk ${name} was added while the guest ran, and vmferry cannot open it the same way: ` +
      `${why}. Remove it from the guest (device_del)`,
  };
}
