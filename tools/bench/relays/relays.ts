/**
 * What is compared: each makes a UNIX socket that leads to the target's by some way. The near end is
 * the one whose socket is connected to, the far end connects to the target.
 *
 * @module
 */
import { freePort, listening as waitListening } from "../ground.ts";
import { project } from "../../run.ts";
import { sshForward } from "../ssh.ts";
import { Pki } from "../../../tests/support/pki.ts";

/** A way from a socket here to the target's socket. */
export interface Relay {
  /** Its two processes, for CPU time and memory; none for the direct way. */
  readonly near: number | undefined;
  readonly far: number | undefined;
  /** Connect here. */
  readonly path: string;
  /**
   * Connect here and wait for the end: the other end is asked by RPC for a channel that it does not
   * have, which is one round trip of the RPC.
   */
  readonly refusedPath?: string;
  stop(): Promise<void>;
}

/** Starts a relay that leads to `target`; its sockets lie in `dir`. */
export type StartRelay = (dir: string, target: string) => Promise<Relay>;

export const relays: Readonly<Record<string, StartRelay>> = {
  "direct": (_dir, target) =>
    Promise.resolve({
      near: undefined,
      far: undefined,
      path: target,
      stop: () => Promise.resolve(),
    }),

  "plain relay": (dir, target) => denoRelay("relay.ts", dir, target),
  "plain TLS relay": async (dir, target) =>
    denoRelay("relay.ts", dir, target, [(await certificates(dir)).server]),
  "framed relay": (dir, target) => denoRelay("framed_relay.ts", dir, target),
  "stream relay": (dir, target) => denoRelay("stream_relay.ts", dir, target),
  "framed relay + 10 us": (dir, target) => denoRelay("framed_relay.ts", dir, target, ["10"]),

  "socat": (dir, target) => socat(dir, target, []),
  "socat 256K": (dir, target) => socat(dir, target, ["-b", "262144"]),

  "ssh aes128-gcm": (dir, target) => sshForward(dir, target, "aes128-gcm@openssh.com"),
  "ssh chacha20": (dir, target) => sshForward(dir, target, "chacha20-poly1305@openssh.com"),

  "vmferry tcp": async (dir, target) => {
    const port = freePort();
    const address = `tcp://127.0.0.1:${port}`;
    return await vmferry(dir, target, { listen: [address], connect: [address], farListens: port });
  },
  "vmferry tcp, no resume": async (dir, target) => {
    const port = freePort();
    const address = [`tcp://127.0.0.1:${port}`, "--grace", "0"];
    return await vmferry(dir, target, { listen: address, connect: address, farListens: port });
  },
  "vmferry tcp, 2 connections": async (dir, target) => {
    const port = freePort();
    const address = `tcp://127.0.0.1:${port}`;
    const connect = [address, "--connections", "2"];
    return await vmferry(dir, target, { listen: [address], connect, farListens: port });
  },
  "vmferry unix": async (dir, target) => {
    const address = `unix://${dir}/tunnel.sock`;
    const farListens = `${dir}/tunnel.sock`;
    return await vmferry(dir, target, { listen: [address], connect: [address], farListens });
  },
  "vmferry ticket": async (dir, target) => {
    const port = freePort();
    const ticket = ["--ticket-file", `${dir}/ticket`];
    await Deno.remove(`${dir}/ticket`).catch(() => {});
    return await vmferry(dir, target, {
      listen: [`vmferry://127.0.0.1:${port}`, ...ticket],
      connect: ticket,
      farListens: port,
    });
  },
  "vmferry tls": async (dir, target) => {
    const port = freePort();
    const address = `tls://127.0.0.1:${port}`;
    const { server, client } = await certificates(dir);
    return await vmferry(dir, target, {
      listen: [address, "--tls-dir", server],
      connect: [address, "--tls-dir", client],
      farListens: port,
    });
  },
};

/** A relay that is a script of this directory, with its arguments besides the two sockets. */
async function denoRelay(
  script: string,
  dir: string,
  target: string,
  extra: readonly string[] = [],
): Promise<Relay> {
  const port = freePort();
  const path = `${dir}/relay.sock`;
  const relay = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    project(`tools/bench/relays/${script}`),
  ];
  return await startRelay(path, {
    far: [...relay, "listen", `${port}`, target, ...extra],
    farListens: port,
    near: [...relay, "connect", path, `${port}`, ...extra],
  });
}

/** Creates directories with new certificates for both ends. */
async function certificates(dir: string): Promise<{ server: string; client: string }> {
  await Deno.remove(`${dir}/pki`, { recursive: true }).catch(() => {});
  const pki = await Pki.make(`${dir}/pki`);
  return {
    server: await pki.directory("server", "server", ["far.example", "IP:127.0.0.1"]),
    client: await pki.directory("client", "client", ["near.example"]),
  };
}

async function socat(dir: string, target: string, options: string[]): Promise<Relay> {
  const port = freePort();
  const path = `${dir}/socat.sock`;
  return await startRelay(path, {
    far: [
      ...["socat", ...options],
      ...[`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,nodelay`, `UNIX-CONNECT:${target}`],
    ],
    farListens: port,
    near: ["socat", ...options, `UNIX-LISTEN:${path},fork`, `TCP:127.0.0.1:${port},nodelay`],
  });
}

/** The program that is measured: `VMFERRY` from the environment, else what `make build` made. */
export function vmferryPath(): string {
  return Deno.env.get("VMFERRY") ?? project("dist/vmferry");
}

/** The tunnel between both ends. */
interface Tunnel {
  readonly listen: readonly string[];
  readonly connect: readonly string[];
  readonly farListens: string | number;
}

async function vmferry(dir: string, target: string, tunnel: Tunnel): Promise<Relay> {
  const path = `${dir}/ferry.sock`;
  const refusedPath = `${dir}/refused.sock`;
  const program = [vmferryPath(), "forward", "--quiet"];
  const relay = await startRelay(path, {
    far: [...program, "--to", `nbd=unix://${target}`, "--listen", ...tunnel.listen],
    farListens: tunnel.farListens,
    near: [
      ...[...program, "--from", `refused=unix://${refusedPath}`, "--from", `nbd=unix://${path}`],
      ...tunnel.connect,
    ],
  });
  return { ...relay, refusedPath };
}

/** The commands of a relay. */
export interface RelayCommands {
  readonly far: readonly string[];
  /** The port or socket that the near end needs. */
  readonly farListens: string | number;
  readonly near: readonly string[];
}

/** Starts the far end, waits until it listens, then the near one. Both end when told to stop. */
export async function startRelay(path: string, commands: RelayCommands): Promise<Relay> {
  const spawn = ([program, ...args]: readonly string[]) =>
    new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const far = spawn(commands.far);
  await waitListening(commands.farListens);
  const near = spawn(commands.near);
  await waitListening(path);
  return {
    path,
    near: near.pid,
    far: far.pid,
    async stop() {
      for (const child of [near, far]) {
        child.kill("SIGTERM");
        await child.status;
      }
      await Deno.remove(path).catch(() => {});
    },
  };
}
