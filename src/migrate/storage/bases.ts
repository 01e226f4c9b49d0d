/**
 * The backing files of a disk, and how those of both ends differ. Pure.
 *
 * @module
 */
import { exactSize } from "../../io/mod.ts";
import type { BlockGraph, BlockNode } from "../../qmp/mod.ts";
import type { BackingFile, Result } from "../../rpc/mod.ts";
import { addressOf } from "./address.ts";
import { chainOf, formatNode } from "./chain.ts";

/** A backing file and its node. */
export interface Base extends BackingFile {
  readonly node: BlockNode;
}

/** Most backing files of a disk; QEMU itself fails with a longer chain much earlier. */
const MOST = 64;

/** The backing files of a disk, from the upper to the lower one. */
export function backingFiles(graph: BlockGraph, root: string): Base[] {
  const found: Base[] = [];
  let node = formatNode(graph, root);
  while (node && found.length < MOST) {
    const below = node.children.find(({ role }) => role === "backing")?.node;
    node = below === undefined ? undefined : formatNode(graph, below);
    if (!node) break;
    const storage = chainOf(graph, node.name).find((n) => n.isStorage && n.written);
    const { path, text = "" } = (storage && addressOf(storage)) ?? {};
    const address = path ?? text;
    found.push({
      node,
      file: address.slice(address.lastIndexOf("/") + 1).slice(0, 1024),
      address: address.slice(0, 1024),
      sizeBytes: node.sizeBytes ?? 0,
    });
  }
  return found;
}

type DescribedBases = Result<"describeBases">["disks"][number];

const ELSE = "or leave out --sync top";

/**
 * Compares a disk's backing files with those of its counterpart.
 *
 * @returns a sentence about the first difference; `undefined` if there is none.
 */
export function baseProblem(
  disk: string,
  here: readonly BackingFile[],
  there: DescribedBases,
): string | undefined {
  const { chain, hasData } = there;
  const say = (text: string) => `disk ${disk}: ${text}, ${ELSE}`;
  if (chain.length === 0) {
    return say(
      `the destination's image has no backing file, expected ${words(here[0])} as at the source. ` +
        "Create the image over that file",
    );
  }
  for (const [i, own] of here.entries()) {
    const other = chain[i];
    if (!other) {
      return say(
        `the destination's image has ${count(chain)}, expected ${count(here)}: ${words(own)} is ` +
          "missing. Create the image over the same chain",
      );
    }
    if (other.file !== own.file) {
      return say(
        `the destination's backing file is ${words(other)}, expected ${
          words(own)
        } as at the source. ` +
          "Create the image over a file of that name",
      );
    }
    if (other.sizeBytes !== own.sizeBytes) {
      return say(
        `the destination's backing file ${other.address} has ${
          exactSize(other.sizeBytes)
        }, the source's ` +
          `${own.address} has ${exactSize(own.sizeBytes)}. Copy the source's file there`,
      );
    }
  }
  if (chain.length > here.length) {
    return say(
      `the destination's image has ${count(chain)}, expected ${count(here)}. ` +
        "Create the image over the same chain",
    );
  }
  if (hasData) {
    return say(
      "the destination's image has data of its own, which would stay. Create it again over its backing file",
    );
  }
  return undefined;
}

function count(chain: readonly unknown[]): string {
  return chain.length === 1 ? "one backing file" : `${chain.length} backing files`;
}

function words(base: BackingFile | undefined): string {
  return base ? `${base.address || base.file} (${exactSize(base.sizeBytes)})` : "one";
}
