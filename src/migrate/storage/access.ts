import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { QmpClient } from "../../qmp/mod.ts";
import type { DescribeHost } from "./host_facts.ts";

/** What looking at storage takes of the host. */
export interface HostAccess {
  readonly describeHost: DescribeHost;
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  readonly connectTcp: (host: string, port: number) => Promise<BytePipe>;
  /** Tolerates that there is no such file. */
  readonly removeFile: (path: string) => Promise<void>;
}

/** A directory for sockets, which only vmferry and QEMU can enter. */
export interface RunDir {
  /** The absolute path of a file in it. */
  path(name: string): string;
}

/** What looking at an end's storage takes. */
export interface StorageAccess extends HostAccess {
  readonly qmp: QmpClient;
  /** Where QEMU's NBD server may listen for a while. */
  readonly socketPath: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The name of that socket in a run's directory. */
export const COMPARE_SOCKET = "compare.sock";
