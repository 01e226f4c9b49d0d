import { silentLogger } from "../../src/io/mod.ts";
import type { CopyHost } from "../../src/copy/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A host on which nothing works but what `works` gives. */
export function fakeCopyHost(works: Partial<CopyHost>): CopyHost {
  const fails = () => Promise.reject(new Error("Not on this host"));
  return {
    run: fails,
    startTied: () => {
      throw new Error("Not on this host");
    },
    connectUnix: fails,
    socketPath: (name) => `/run/${name}`,
    home: undefined,
    clock: new ManualClock(),
    log: silentLogger,
    ...works,
  };
}
