/**
 * What processes have used, from /proc. A program that forks is all of its processes.
 *
 * @module
 */

/** Clock ticks a second in /proc; 100 on every Linux that has an `x86_64` or `aarch64` kernel. */
const TICKS = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Its own CPU time and that of its children that have ended, s. */
  readonly cpu: number;
}

function processes(): Process[] {
  const found: Process[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let stat: string;
    try {
      stat = Deno.readTextFileSync(`/proc/${name}/stat`);
    } catch {
      continue; // it ended meanwhile
    }
    // Behind the name, which may hold anything: state, parent, ... utime, stime, cutime, cstime.
    const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    found.push({ pid: Number(name), parent: Number(fields[1]), cpu: ticks / TICKS });
  }
  return found;
}

/** A process and all of its descendants that still run. */
function treeOf(root: number): Process[] {
  const all = processes();
  const tree = all.filter((p) => p.pid === root);
  for (let i = 0; i < tree.length; i++) {
    tree.push(...all.filter((p) => p.parent === tree[i]!.pid));
  }
  return tree;
}

/** CPU time of a process and of all its descendants, s. */
export function cpuSeconds(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + process.cpu, 0);
}

/** The most memory that a process and its descendants that are there now had, each, summed up, MiB. */
export function peakMemoryMiB(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + field(process.pid, "VmHWM"), 0);
}

/** Memory of a process now, MiB. */
export function memoryMiB(pid: number): number {
  return field(pid, "VmRSS");
}

function field(pid: number, name: string): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // it ended meanwhile
  }
}
