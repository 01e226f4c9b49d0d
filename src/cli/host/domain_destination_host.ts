import type { DestinationHost } from "../../domain/mod.ts";
import { type Logger, systemClock } from "../../io/mod.ts";
import { Virsh } from "../../libvirt/mod.ts";
import { connectUnix } from "../../transport/mod.ts";
import { describeHost } from "./describe_host.ts";
import { runProgram } from "./run_program.ts";

/** This host as the destination of a domain. */
export async function domainHost(uri: string, log: Logger): Promise<DestinationHost> {
  const uid = Deno.uid() ?? 0;
  const { stdout } = await runProgram(["id", "-un"], { timeoutMs: 60_000 });
  return {
    run: runProgram,
    virsh: new Virsh({ run: runProgram, uri }),
    describeHost: describeHost(log),
    connectUnix: (path) => connectUnix(path),
    interfaces: () => [...new Set(Deno.networkInterfaces().map(({ name }) => name))],
    user: { uid, name: stdout.trim() || `user ${uid}` },
    runtimeDir: ownRuntimeDir(uid),
    wallMs: () => Date.now(),
    clock: systemClock,
    log,
  };
}

/** `$XDG_RUNTIME_DIR`, unless it is another user's: su may leave that. */
export function ownRuntimeDir(uid: number): string | undefined {
  const path = Deno.env.get("XDG_RUNTIME_DIR");
  if (!path) return undefined;
  try {
    return Deno.statSync(path).uid === uid ? path : undefined;
  } catch {
    return undefined;
  }
}
