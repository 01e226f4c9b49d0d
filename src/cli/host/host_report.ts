/**
 * What the look at a host has printed, as facts. Pure; the form is that of describe_host.ts.
 *
 * @module
 */
import type { BlockFacts, FileFacts, HostFacts } from "../../migrate/mod.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface OpenBlock extends Omit<Writable<BlockFacts>, "wwids" | "below" | "loop"> {
  wwids: string[];
  below: OpenBlock[];
  loop: { file: OpenFile | undefined; whole: boolean } | undefined;
}
interface OpenFile extends Omit<Writable<FileFacts>, "block"> {
  block: OpenBlock | undefined;
}

/** @param count how many paths were asked for. */
export function parseHost(report: string, count: number): Omit<HostFacts, "addresses"> {
  const lines = report.split("\n");
  const end = lines.indexOf("mounts");
  const mounts = parseMounts(end < 0 ? [] : lines.slice(end + 1));
  const files: (OpenFile | undefined)[] = Array.from({ length: count });
  let [bootId, network] = ["", ""];
  /** The files whose devices the report is listing, the outermost first. */
  let open: { file: OpenFile; stack: OpenBlock[] }[] = [];
  const device = () => open.at(-1)?.stack.at(-1);
  for (const line of end < 0 ? lines : lines.slice(0, end)) {
    const [what = "", ...fields] = line.split("\t");
    const [first = "", second = "", third = ""] = fields;
    switch (what) {
      case "boot":
        bootId = first;
        break;
      case "net":
        network = first;
        break;
      case "file": {
        const file = fileOf(second, third, mounts);
        files[Number(first)] = file;
        open = [{ file, stack: [] }];
        break;
      }
      case "loopfile": {
        const file = fileOf(second, third, mounts);
        const block = device();
        if (block?.loop) block.loop.file = file;
        open.push({ file, stack: [] });
        break;
      }
      case "block": {
        const depth = Number(first);
        const block: OpenBlock = {
          ...{ number: second, wwids: [], dmUuid: undefined, loop: undefined },
          ...{ partition: false, below: [] },
        };
        // A loop device has no others below it: after its file nothing comes that is not the file's.
        const current = open.at(-1);
        if (!current) break;
        current.stack.length = Math.min(current.stack.length, depth);
        const above = current.stack.at(-1);
        if (above) above.below.push(block);
        else current.file.block = block;
        current.stack.push(block);
        break;
      }
      case "wwid":
        if (first.trim() !== "") device()?.wwids.push(first.trim());
        break;
      case "dm": {
        const block = device();
        if (block && first !== "") block.dmUuid = first;
        break;
      }
      case "part": {
        const block = device();
        if (block) block.partition = true;
        break;
      }
      case "loop": {
        const block = device();
        if (block) block.loop = { file: undefined, whole: first === "0" && second === "0" };
        break;
      }
    }
  }
  return { bootId, network, files };
}

type Mounts = ReadonlyMap<string, { readonly type: string; readonly source: string }>;

/** @param number st_dev as the kernel's library packs it (gnu_dev_major). */
function fileOf(number: string, inode: string, mounts: Mounts): OpenFile {
  const dev = BigInt(/^\d+$/.test(number) ? number : "0");
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  const device = `${major}:${minor}`;
  return { device, inode, mount: mounts.get(device), block: undefined };
}

/** proc(5): `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS] - TYPE SOURCE OPTIONS`. */
function parseMounts(lines: readonly string[]): Mounts {
  const mounts = new Map<string, { type: string; source: string }>();
  for (const line of lines) {
    const [left = "", right = ""] = line.split(" - ");
    const device = left.split(" ")[2];
    const [type, source] = right.split(" ");
    if (device && type && source !== undefined) mounts.set(device, { type, source });
  }
  return mounts;
}
