import { type Clock, silentLogger } from "../../src/io/mod.ts";
import {
  type DescribeHost,
  DestinationMigration,
  type DestinationRecord,
  type Processes,
  type Report,
} from "../../src/migrate/mod.ts";
import { DestinationPeer } from "../../src/migrate/source/destination_peer.ts";
import { QmpClient } from "../../src/qmp/mod.ts";
import { sessionPair } from "../tunnel/session_pair.ts";
import { type Commands, FakeQemu } from "./fake_qemu.ts";
import { memoryPipe } from "./memory_pipe.ts";

export const GUEST = {
  uuid: null,
  name: "vm",
  machine: "pc-q35-7.2",
  vcpus: 1,
  ramBytes: 1 << 20,
} as const;
export const DISK = { name: "vd0", sizeBytes: 1024, format: "raw" } as const;

/** A QEMU that waits for a guest, as far as a destination asks it. */
export class WaitingQemu {
  /** Exports that it has now, by id. */
  readonly exports = new Set<string>();
  nbdServer = false;
  status = "inmigrate";
  migration = "none";
  /** Why the incoming migration failed, as `query-migrate` has it. */
  migrationError: string | undefined;
  readonly fake: FakeQemu;

  constructor(pipe: ConstructorParameters<typeof FakeQemu>[0], more: Commands = {}) {
    const ok = { return: {} };
    this.fake = new FakeQemu(pipe, {
      "query-uuid": () => ({ return: { UUID: "00000000-0000-0000-0000-000000000000" } }),
      "query-name": () => ({ return: { name: GUEST.name } }),
      "query-status": () => ({ return: { status: this.status, running: false } }),
      "qom-get": ({ property }) => ({
        return: property === "type" ? `${GUEST.machine}-machine` : false,
      }),
      "query-kvm": () => ({ return: { enabled: true, present: true } }),
      "query-cpus-fast": () => ({ return: [{}] }),
      "qom-list": () => ({ return: [] }),
      "human-monitor-command": () => ({ return: "" }),
      "query-memory-size-summary": () => ({ return: { "base-memory": GUEST.ramBytes } }),
      "query-block": () => ({ return: [BLOCK] }),
      "query-migrate": () => ({
        return: {
          status: this.migration,
          ...(this.migrationError ? { "error-desc": this.migrationError } : {}),
        },
      }),
      "query-migrate-capabilities": () => ({ return: [{ capability: "events", state: false }] }),
      "query-migrate-parameters": () => ({ return: {} }),
      "migrate-set-capabilities": () => ok,
      "stop": () => ok,
      "quit": () => {
        setTimeout(() => this.fake.close(), 0);
        return ok;
      },
      "nbd-server-start": () => {
        if (this.nbdServer) {
          return { error: { class: "GenericError", desc: "NBD server already running" } };
        }
        this.nbdServer = true;
        return ok;
      },
      "nbd-server-stop": () => {
        this.nbdServer = false;
        return ok;
      },
      "block-export-add": ({ id }) => {
        this.exports.add(String(id));
        return ok;
      },
      "block-export-del": ({ id }) => {
        this.exports.delete(String(id));
        return ok;
      },
      "query-named-block-nodes": () => ({ return: [{ "node-name": "d0", drv: "raw", file: "" }] }),
      "query-blockstats": () => ({ return: [] }),
      "query-block-exports": () => ({ return: [...this.exports].map((id) => ({ id })) }),
      ...more,
    });
  }

  /** How often it was given a command. */
  count(command: string): number {
    return this.fake.received.filter((c) => c.command === command).length;
  }
}

const BLOCK = {
  device: "",
  qdev: "/machine/peripheral/vd0/virtio-backend",
  inserted: {
    "node-name": "d0",
    ro: false,
    drv: "raw",
    image: { "virtual-size": DISK.sizeBytes },
  },
};

/** No other vmferry runs. */
export const ALONE: Processes = {
  own: () => Promise.resolve("0badcafe"),
  running: () => Promise.resolve(new Map()),
};

/** A host that tells nothing of itself. */
export const NO_HOST: DescribeHost = (paths) =>
  Promise.resolve({
    ...{ bootId: "", network: "", addresses: [] },
    files: paths.map(() => undefined),
  });

export interface FakeDestinationOptions {
  /** How long a source may be away, ms. Default 0. */
  readonly graceMs?: number;
  readonly resume?: DestinationRecord;
  readonly report?: Report;
  /** Called before a record counts as written; a rejection is a journal that cannot be written. */
  readonly onWrite?: (record: DestinationRecord) => Promise<void>;
  /** What its owner does before RAM crosses. */
  readonly beforeSwitchover?: (signal: AbortSignal) => Promise<void>;
  /** What its owner undoes when the migration was given up. */
  readonly afterUndo?: () => Promise<readonly string[]>;
}

/** A destination over a QEMU that is not real, and the means for sources to connect. */
export async function fakeDestination(
  clock: Clock,
  more: Commands = {},
  options: FakeDestinationOptions = {},
) {
  const { resume, report = () => {}, graceMs = 0 } = options;
  const { onWrite, beforeSwitchover, afterUndo } = options;
  const [ours, theirs] = memoryPipe();
  const qemu = new WaitingQemu(theirs, more);
  const qmp = await QmpClient.open(ours);
  const written: DestinationRecord[] = [];
  // As in the program, one write waits for the one before.
  let lastWrite = Promise.resolve();
  const migration = new DestinationMigration({
    ...{ qmp, qmpPath: "/qmp", listen: "tcp://x:1", recoverCommand: "recover", resume },
    ...{ graceMs, disks: [], report, clock, log: silentLogger },
    ...(beforeSwitchover ? { beforeSwitchover } : {}),
    ...(afterUndo ? { afterUndo } : {}),
    runDir: { path: (name: string) => `/run/${name}` },
    journal: {
      write: (record) => {
        const writing = lastWrite.then(async () => {
          await onWrite?.(record);
          written.push(record);
        });
        lastWrite = writing.catch(() => {});
        return writing;
      },
    },
    host: {
      ...{ describeHost: NO_HOST, processes: ALONE },
      connectTcp: () => Promise.reject(new Error("not served")),
      connectUnix: () => Promise.reject(new Error("not served")),
      removeFile: () => Promise.resolve(),
    },
  });
  const connect = async () => {
    const { connecting, listening } = await sessionPair();
    migration.serve(listening);
    return connecting;
  };
  return {
    migration,
    qemu,
    /** The journal's records, in order. */
    written,
    /** The source's end of a session. */
    connect,
    /** A source that has come. */
    async source(): Promise<DestinationPeer> {
      return new DestinationPeer(await connect(), { clock, log: silentLogger });
    },
    async end(): Promise<void> {
      await migration.leave();
      qemu.fake.close();
    },
  };
}
