/**
 * What is compared: each makes a UNIX socket that leads to the target's by some way over TCP.
 *
 * @module
 */
import { freePort, listening as waitListening } from "./ground.ts";
import { project } from "../run.ts";

/** A way from a socket here to the target's socket. */
export interface Relay {
  readonly name: string;
  /** Its processes, for CPU time and memory. */
  readonly pids: readonly number[];
  /** Connect here. */
  readonly path: string;
  stop(): Promise<void>;
}

/** Starts a relay in `dir` that leads to `target`. */
export type StartRelay = (dir: string, target: string) => Promise<Relay>;

export const relays: Readonly<Record<string, StartRelay>> = {
  direct: (_dir, target) =>
    Promise.resolve({ name: "direct", pids: [], path: target, stop: () => Promise.resolve() }),

  "plain relay": async (dir, target) => {
    const port = freePort();
    const path = `${dir}/relay.sock`;
    const relay = project("tools/bench/relay.ts");
    return await start("plain relay", path, [
      [Deno.execPath(), "run", "-A", "--no-check", relay, "listen", `${port}`, target],
      [Deno.execPath(), "run", "-A", "--no-check", relay, "connect", path, `${port}`],
    ]);
  },

  "socat": (dir, target) => socat(dir, target, "socat", []),
  "socat 256K": (dir, target) => socat(dir, target, "socat 256K", ["-b", "262144"]),

  "vmferry tcp": async (dir, target) => {
    const port = freePort();
    return await vmferry(dir, target, "vmferry tcp", `tcp://127.0.0.1:${port}`);
  },
  "vmferry unix": async (dir, target) =>
    await vmferry(dir, target, "vmferry unix", `unix://${dir}/tunnel.sock`),
};

async function socat(dir: string, target: string, name: string, options: string[]) {
  const port = freePort();
  const path = `${dir}/socat.sock`;
  return await start(name, path, [
    ["socat", ...options, `TCP-LISTEN:${port},fork,reuseaddr,nodelay`, `UNIX-CONNECT:${target}`],
    ["socat", ...options, `UNIX-LISTEN:${path},fork`, `TCP:127.0.0.1:${port},nodelay`],
  ]);
}

async function vmferry(dir: string, target: string, name: string, address: string) {
  const path = `${dir}/ferry.sock`;
  const program = Deno.env.get("VMFERRY") ?? project("dist/vmferry");
  return await start(name, path, [
    [program, "forward", "--quiet", "--listen", address, "--to", `nbd=unix://${target}`],
    [program, "forward", "--quiet", "--from", `nbd=unix://${path}`, address],
  ], address.startsWith("unix") ? address.slice("unix://".length) : Number(address.split(":")[2]));
}

/** Starts the far end, waits until it listens, then the near one. */
async function start(
  name: string,
  path: string,
  commands: readonly [readonly string[], readonly string[]],
  far?: string | number,
): Promise<Relay> {
  const spawn = ([program, ...args]: readonly string[]) =>
    new Deno.Command(program!, { args, stdin: "null", stdout: "null" }).spawn();
  const listener = spawn(commands[0]);
  await waitListening(far ?? portOf(commands[0]));
  const connector = spawn(commands[1]);
  await waitListening(path);
  return {
    name,
    path,
    pids: [connector.pid, listener.pid],
    async stop() {
      for (const child of [connector, listener]) {
        child.kill("SIGTERM");
        await child.status;
      }
      await Deno.remove(path).catch(() => {});
    },
  };
}

function portOf(command: readonly string[]): number {
  const text = command.join(" ");
  return Number(/(?:TCP-LISTEN:|listen )(\d+)/.exec(text)?.[1]);
}
