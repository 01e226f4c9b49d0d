import type { Logger } from "../../io/mod.ts";
import type { HostAccess } from "../../migrate/mod.ts";
import { connectTcp, connectUnix } from "../../transport/mod.ts";
import { describeHost } from "./describe_host.ts";
import { vmferryProcesses } from "./processes.ts";

/** What a migration needs of the host that it runs on. */
export function hostAccess(log: Logger): HostAccess {
  return {
    processes: vmferryProcesses,
    connectUnix,
    connectTcp: (host, port) => connectTcp(host, port),
    removeFile: (path) => Deno.remove(path).catch(() => {}),
    describeHost: describeHost(log),
  };
}
