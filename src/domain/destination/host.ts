/**
 * What the destination of a domain's migration needs of its host.
 *
 * @module
 */
import type { BytePipe, Clock, Logger } from "../../io/mod.ts";
import type { RunProgram } from "../../host/mod.ts";
import type { Virsh } from "../../libvirt/mod.ts";
import type { DescribeHost } from "../../migrate/mod.ts";

/** The host of a destination, injected. */
export interface DestinationHost {
  /** Runs a program of the host. */
  readonly run: RunProgram;
  /** The libvirt that takes the domain. */
  readonly virsh: Virsh;
  /** Reports what the host knows of paths. */
  readonly describeHost: DescribeHost;
  /** Connects to a UNIX socket. */
  readonly connectUnix: (path: string) => Promise<BytePipe>;
  /** Names of the host's network interfaces. */
  readonly interfaces: () => string[];
  /** The user that vmferry runs as. */
  readonly user: { readonly uid: number; readonly name: string };
  /** `$XDG_RUNTIME_DIR`, where that is this user's. */
  readonly runtimeDir: string | undefined;
  /** ms since 1970. */
  readonly wallMs: () => number;
  /** The time. */
  readonly clock: Clock;
  /** Gets diagnostics. */
  readonly log: Logger;
}
