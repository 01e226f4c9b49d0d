import type { Qemu } from "./qemu.ts";
import { assertNone } from "./scenario.ts";
import { MARK } from "./vmferry.ts";
import { poll } from "./waiting.ts";

/** What a migration could leave on a host, a line each. */
export type HostState = readonly string[];

/** The difference of two states of a host, a sentence each; lines that match `but` are not compared. */
export function stateDifference(
  name: string,
  before: HostState,
  after: HostState,
  but?: RegExp,
): string[] {
  const compared = (state: HostState) => state.filter((line) => !but?.test(line));
  return [
    ...missingFrom(before, compared(after)).map((line) => `${name}: left: ${line}`),
    ...missingFrom(after, compared(before)).map((line) => `${name}: gone: ${line}`),
  ];
}

/**
 * Throws unless a host is as it was. Waits up to 30 s for processes that are ending.
 *
 * @param look takes the host's state.
 * @param but lines that match are not compared.
 */
export async function assertUnchanged(
  name: string,
  before: HostState,
  look: () => Promise<HostState>,
  but?: RegExp,
): Promise<void> {
  let faults: string[] = [];
  const same = async () => {
    faults = stateDifference(name, before, await look(), but);
    return faults.length === 0 || undefined;
  };
  await poll(`${name} to be as before`, same, 30_000, 500).catch((error) => {
    assertNone(faults);
    throw error;
  });
}

/** What of vmferry's could be left in a QEMU: each list holds names. */
export interface QemuState {
  readonly jobs: readonly string[];
  readonly nodes: readonly string[];
  readonly exports: readonly string[];
  /** The migration capabilities that are on. */
  readonly capabilities: readonly string[];
  /** Migration parameters as `name=value`. */
  readonly parameters: readonly string[];
}

/** Asks a QEMU for everything that a migration could have left in it. */
export async function qemuState(qemu: Qemu): Promise<QemuState> {
  const [jobs, nodes, exports, capabilities, parameters] = await Promise.all([
    qemu.execute<{ id: string }[]>("query-jobs"),
    qemu.execute<{ "node-name": string }[]>("query-named-block-nodes", { flat: true }),
    qemu.execute<{ id: string }[]>("query-block-exports"),
    qemu.execute<{ capability: string; state: boolean }[]>("query-migrate-capabilities"),
    qemu.execute<{ [name: string]: unknown }>("query-migrate-parameters"),
  ]);
  return {
    jobs: jobs.map((job) => job.id).sort(),
    nodes: nodes.map((node) => node["node-name"]).sort(),
    exports: exports.map((e) => e.id).sort(),
    capabilities: capabilities.filter((c) => c.state).map((c) => c.capability).sort(),
    parameters: Object.entries(parameters)
      // A test that has set it cannot unset it, and vmferry never sets it.
      .filter(([name]) => name !== "block-bitmap-mapping")
      .map(([k, v]) => `${k}=${JSON.stringify(v)}`).sort(),
  };
}

/** What is in `after` and was not in `before`, or the reverse; a sentence each. */
export function leftInQemu(name: string, before: QemuState, after: QemuState): string[] {
  return (Object.keys(before) as (keyof QemuState)[]).flatMap((kind) => [
    ...missingFrom(before[kind], after[kind]).map((x) => `${name}: left in its ${kind}: ${x}`),
    ...missingFrom(after[kind], before[kind]).map((x) => `${name}: gone from its ${kind}: ${x}`),
  ]);
}

/** Whether an NBD server runs in a QEMU; known by trying to start one. */
export async function hasNbdServer(qemu: Qemu, dir: string): Promise<boolean> {
  const path = `${dir}/${qemu.name}.nbd-probe.sock`;
  try {
    await qemu.execute("nbd-server-start", { addr: { type: "unix", data: { path } } });
  } catch (error) {
    if (String(error).includes("already running")) return true;
    throw error;
  }
  await qemu.execute("nbd-server-stop");
  await Deno.remove(path).catch(() => {});
  return false;
}

/** The files, sockets and directories under `dir`, as sorted paths relative to it. */
export async function filesIn(dir: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string) => {
    for await (const entry of Deno.readDir(`${dir}/${path}`)) {
      const name = path === "" ? entry.name : `${path}/${entry.name}`;
      found.push(name);
      // One that is being removed just now is gone.
      if (entry.isDirectory) await walk(name).catch(unlessGone);
    }
  };
  await walk("");
  return found.sort();
}

function unlessGone(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Processes that a vmferry started and that are still there, as `PID command`. */
export async function processesOf(mark: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await readProc(`/proc/${name}/environ`);
    if (!environment.split("\0").includes(`${MARK}=${mark}`)) continue;
    const command = await readProc(`/proc/${name}/cmdline`);
    found.push(`${name} ${command.replaceAll("\0", " ").trim()}`);
  }
  return found;
}

/** The most memory that a process had at a time, MiB. */
export async function peakMemoryMiB(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024);
}

/** Counts the TCP connections that are made to a local port; `dispose` ends the observation. */
export class TcpConnections implements Disposable {
  readonly #port: number;
  readonly #seen = new Set<string>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(port: number) {
    this.#port = port;
    this.#timer = setInterval(() => this.#look(), 50);
    this.#look();
  }

  /**
   * How many there were since the start. One that was closed in order is in the kernel's table for
   * a minute; one that was reset is seen when it lasted for 50 ms.
   */
  get count(): number {
    this.#look();
    return this.#seen.size;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      let text: string;
      try {
        text = Deno.readTextFileSync(table);
      } catch {
        continue; // no IPv6 here
      }
      for (const client of clientsOf(text, this.#port)) this.#seen.add(client);
    }
  }
}

const LISTEN = 0x0a;

/**
 * The far ends of the connections with a local port, from a table of the kernel's.
 * Each connection within one host is in it twice, once from either end.
 *
 * @param table as `/proc/net/tcp` or `/proc/net/tcp6` has it.
 * @returns `ADDRESS:PORT` in the kernel's hexadecimal notation, each once.
 */
export function clientsOf(table: string, port: number): Set<string> {
  const clients = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", remote = "", state = ""] = line.trim().split(/\s+/);
    if (parseInt(state, 16) === LISTEN) continue;
    if (portOf(local) === port) clients.add(remote);
    else if (portOf(remote) === port) clients.add(local);
  }
  return clients;
}

function portOf(address: string): number {
  return parseInt(address.slice(address.lastIndexOf(":") + 1), 16);
}

function missingFrom(before: readonly string[], after: readonly string[]): string[] {
  return after.filter((x) => !before.includes(x));
}

async function readProc(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return ""; // it ended meanwhile, or is none of ours
  }
}
