/**
 * The images of the guest's disks, media and firmware. Pure.
 *
 * @module
 */
import type { RawBlock } from "../../qmp/mod.ts";
import type { GuestImage } from "../description.ts";
import { absolute, allocatedIn, type BlockChain, chainOf, formatOf } from "./block_chain.ts";
import type { MachineState } from "./machine_state.ts";
import type { Opening } from "./openings.ts";

/** Permission bits of a file that could not be looked at. */
export const UNKNOWN_MODE = 0o600;

/** Every image of {@link MachineState.disks} that has a medium; `mode` is yet to be filled in. */
export function imagesOf(
  state: MachineState,
  openings: ReadonlyMap<string, Opening>,
  cwd: string,
): GuestImage[] {
  return state.disks.filter(({ empty }) => !empty).flatMap((disk) => {
    const block = blockOf(state, disk.nodeName);
    const chain = chainOf(state.graph, disk.nodeName);
    if (!block?.inserted || !chain) return [];
    const { image } = block.inserted;
    const now = chain.local ? absolute(cwd, chain.storage.filename) : chain.storage.filename;
    const opening = openings.get(disk.name);
    // A medium that was changed is given by its new path; an image that was replaced by the old one.
    const given = block.removable ? now : opening?.path ?? now;
    const current = formatOf(chain);
    const format = given === now ? current : opening?.format ?? current;
    // A raw image has nothing of the qcow2 that replaced it.
    const qcow2 = format === "qcow2" && current === "qcow2" ? image : undefined;
    const data = qcow2?.["format-specific"]?.data ?? {};
    const backing = image["full-backing-filename"] ?? image["backing-filename"];
    return [{
      name: disk.name,
      path: given,
      active: given === now ? null : now,
      local: chain.local,
      format,
      virtualSize: disk.sizeBytes,
      readOnly: disk.readOnly,
      clusterSize: qcow2?.["cluster-size"] ?? null,
      compat: data.compat ?? null,
      extendedL2: data["extended-l2"] === true,
      lazyRefcounts: data["lazy-refcounts"] === true,
      allocated: format === "raw" && current === "raw" &&
        (image["actual-size"] ?? 0) >= disk.sizeBytes,
      chainBytes: allocatedIn(state.graph, chain),
      backing: backing === undefined
        ? null
        : { path: absolute(cwd, backing), format: backingFormat(state, chain, block) },
      ...(data["data-file"] === undefined ? {} : { dataFile: data["data-file"] }),
      ...obstacleOf(current, image.encrypted === true, data["data-file"]),
      mode: UNKNOWN_MODE,
    }];
  });
}

/** Problems with images that no option opens: their paths at the destination cannot be set. */
export function unopened(
  { disks, blocks, graph, added }: MachineState,
  openings: ReadonlyMap<string, Opening>,
): string[] {
  return disks.flatMap(({ name, nodeName, empty }) => {
    const block = blockOf({ blocks }, nodeName);
    const chain = chainOf(graph, nodeName);
    const isAdded = added.some(({ id, path }) =>
      id !== "" && id === name || block?.qdev?.startsWith(path)
    );
    // A drive whose medium can be changed is compared with the command line anyway.
    if (empty || !block || block.removable || !chain?.local || isAdded || openings.has(name)) {
      return [];
    }
    return [
      `disk ${name}: no option of the command line opens ${chain.storage.filename}. Give a command line ` +
      "that does with --qemu-command FILE",
    ];
  });
}

/** Why qemu-img needs more to create such an image. */
function obstacleOf(
  format: string,
  encrypted: boolean,
  dataFile: string | undefined,
): { obstacle?: string } {
  if (encrypted || format === "luks") return { obstacle: "it is encrypted" };
  return dataFile === undefined ? {} : { obstacle: "its data lies in a second file" };
}

/** The entry of `query-block` with this root node. */
export function blockOf(
  { blocks }: Pick<MachineState, "blocks">,
  node: string,
): RawBlock | undefined {
  return node === "" ? undefined : blocks.find((b) => b.inserted?.["node-name"] === node);
}

function backingFormat({ graph }: MachineState, { image }: BlockChain, block: RawBlock): string {
  const child = image.children.find(({ role }) => role === "backing");
  const chain = child && chainOf(graph, child.node);
  const raw = block.inserted!.image;
  return chain
    ? formatOf(chain)
    : raw["backing-filename-format"] ?? raw["backing-image"]?.format ?? "raw";
}
