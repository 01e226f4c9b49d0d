/**
 * Programs of Debian that speak NBD, and a server of ours for them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { type BlockDevice, NbdClient, NbdServer } from "../../../src/nbd/mod.ts";
import { connectUnix } from "../../../src/transport/mod.ts";
import { listening } from "../../../tools/bench/ground.ts";

/** Runs a program for 20 s at most. */
export async function run(
  program: string,
  ...args: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("timeout", {
    args: ["20", program, ...args],
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Output of a program that must succeed. */
export async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, ...args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** A server of ours on a UNIX socket. */
export interface Served extends AsyncDisposable {
  readonly path: string;
  /** The same for libnbd and QEMU. */
  readonly uri: string;
  /** Connections so far. */
  readonly connections: () => number;
}

/** Serves a device as "disk" in a directory. */
export function serve(dir: string, device: BlockDevice, description?: string): Served {
  const path = `${dir}/ours.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const of = { name: "disk", device, ...description === undefined ? {} : { description } };
  const server = new NbdServer([of]);
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) serving.push(server.serve(conn).catch(() => {}));
  })();
  return {
    path,
    uri: `nbd+unix:///disk?socket=${path}`,
    connections: () => serving.length,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      await server.shutDown();
      await Promise.all(serving);
    },
  };
}

/** A server of another program on a UNIX socket. */
export interface Foreign extends AsyncDisposable {
  readonly path: string;
  /** Ends it at once. */
  readonly kill: () => Promise<void>;
}

/** Starts a server that listens on a UNIX socket, or on a port of loopback. */
export async function start(
  at: string | number,
  program: string,
  ...args: string[]
): Promise<Foreign> {
  const child = new Deno.Command(program, {
    args,
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` },
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  const ended = child.status.then(() => "ended");
  const kill = async (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended.
    }
    await ended;
  };
  const first = await Promise.race([listening(at).catch((error: Error) => error), ended]);
  if (first !== undefined) {
    await kill("SIGKILL");
    throw new Error(`${program} ${args.join(" ")}: ${first === "ended" ? "it has ended" : first}`);
  }
  return {
    path: String(at),
    kill: () => kill("SIGKILL"),
    [Symbol.asyncDispose]: () => kill("SIGTERM"),
  };
}

/** Starts nbdkit; returns without a connection to it. */
export function nbdkit(dir: string, ...args: string[]): Promise<Foreign> {
  const path = `${dir}/nbdkit.sock`;
  return start(path, "nbdkit", "-f", "-U", path, ...args);
}

/** Opens an export of a foreign server. */
export async function open(path: string, name = ""): Promise<NbdClient> {
  return await NbdClient.open(await connectUnix(path), name);
}

/** Random bytes that are the same each time. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  const numbers = new Uint32Array(bytes.buffer, 0, length >> 2);
  let state = seed;
  for (let i = 0; i < numbers.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = state ^ (state >>> 13);
  }
  return bytes;
}
