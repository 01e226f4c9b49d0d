import { type BytePipe, delay, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { type ExtentKind, NbdReader } from "../../nbd/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { type NbdExport, removeExports } from "../disks/nbd_exports.ts";
import type { StorageAccess } from "./access.ts";
import type { NbdServer } from "./address.ts";

/** Prefix of all names of a comparison: by it the next run finds what a killed one left in QEMU. */
export const PREFIX = "vmferry-compare-";

/** How long an export may take to open, ms. */
const OPEN_MS = 5_000;
/** Tries to remove a node that its export still uses, and the time between them, ms. */
const GO_TRIES = 50;
const GO_MS = 20;

/** A node to read: a node of QEMU's, or nodes to open beside it, or an NBD server to connect to instead. */
export interface NodeToRead {
  readonly server?: NbdServer;
  /** Name of a node that QEMU has. */
  readonly node?: string;
  /**
   * Lists of options for `blockdev-add`: a node may refer to the earlier ones of its list as `$0`, `$1`
   * and so on, and the last one is read. If QEMU rejects the first list, the next one is tried.
   */
  readonly open?: readonly (readonly Readonly<Record<string, unknown>>[])[];
}

/** Read-only exports of QEMU's nodes on a private UNIX socket, until disposal. */
export class TemporaryExports implements AsyncDisposable {
  readonly #access: StorageAccess;
  readonly #nodes: string[] = [];
  readonly #exports: NbdExport[] = [];
  readonly #pipes: BytePipe[] = [];
  readonly #nonce = crypto.randomUUID().slice(0, 8);
  #stopped = false;

  /**
   * Starts QEMU's NBD server, after removing what a killed run left.
   *
   * @throws {QmpCommandError} when it does not start: it runs already, or QEMU may not create the socket.
   */
  static async start(access: StorageAccess): Promise<TemporaryExports> {
    const { qmp, log, socketPath } = access;
    await removeLeft(qmp, access);
    await qmp.execute("nbd-server-start", {
      addr: { type: "unix", data: { path: socketPath } },
      "max-connections": 0,
    });
    log.log("debug", `comparing storage over ${socketPath}`);
    return new TemporaryExports(access);
  }

  private constructor(access: StorageAccess) {
    this.#access = access;
  }

  /**
   * Opens a node for reading. The disposal removes all that this made in QEMU.
   *
   * @param kind `allocated`: the reader's extents are those that the opened image has itself.
   * @throws {QmpCommandError} when QEMU rejects the node or its export.
   * @throws {DeadlineError} when the NBD server does not answer within 5 s.
   */
  async open(what: NodeToRead, kind: ExtentKind = "data"): Promise<NbdReader> {
    const { qmp, connectUnix, socketPath } = this.#access;
    if (what.server) return await this.#ask(what.server);
    const node = what.node ?? await this.#openNodes(what.open ?? []);
    const id = `${PREFIX}${this.#nonce}-${this.#exports.length}`;
    this.#exports.push({ disk: "", exportName: id, id });
    await qmp.execute("block-export-add", {
      ...{ type: "nbd", id, "node-name": node, name: id, writable: false },
      ...(kind === "allocated" ? { "allocation-depth": true } : {}),
    });
    return await this.#read(await connectUnix(socketPath), id, kind);
  }

  async #ask({ at, exportName }: NbdServer): Promise<NbdReader> {
    const { clock, connectUnix, connectTcp } = this.#access;
    const connecting = "path" in at ? connectUnix(at.path) : connectTcp(at.host, at.port);
    connecting.then((pipe) => this.#pipes.push(pipe), () => {});
    return await this.#read(
      await withDeadline(clock, OPEN_MS, "the NBD server of a disk", connecting),
      exportName,
    );
  }

  async #read(
    pipe: BytePipe,
    exportName: string,
    kind: ExtentKind = "data",
  ): Promise<NbdReader> {
    this.#pipes.push(pipe);
    // Even after an error the export is removed before its client disconnects, see removeExports.
    const opening = NbdReader.open(keptOpen(pipe), exportName, kind);
    return await withDeadline(this.#access.clock, OPEN_MS, `NBD export "${exportName}"`, opening);
  }

  async #openNodes(choices: NonNullable<NodeToRead["open"]>): Promise<string> {
    let refused: unknown = new Error("There is no way to open it");
    for (const nodes of choices) {
      const names: string[] = [];
      try {
        for (const options of nodes) {
          const name = `${PREFIX}${this.#nonce}-n${this.#nodes.length}`;
          await this.#access.qmp.execute("blockdev-add", {
            ...withNames(options, names),
            "node-name": name,
            "read-only": true,
          });
          this.#nodes.push(name);
          names.push(name);
        }
        return names.at(-1)!;
      } catch (error) {
        if (!(error instanceof QmpCommandError)) throw error;
        refused = error;
      }
    }
    throw refused;
  }

  /**
   * Removes the server and all exports with one command (`nbd-server-stop`), which waits for their requests.
   * No client may negotiate meanwhile: QEMU 7.2 then hangs.
   *
   * @throws {QmpError | QmpCommandError} when QEMU does not.
   */
  async stop(): Promise<void> {
    await this.#access.qmp.execute("nbd-server-stop", {});
    this.#stopped = true;
    for (const pipe of this.#pipes) pipe.close();
  }

  /** Removes everything from QEMU. Never rejects: the next run finds the rest by its name. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { qmp, clock, log, socketPath, removeFile } = this.#access;
    if (this.#stopped) return await removeFile(socketPath);
    // Exports are removed before their clients disconnect, see removeExports.
    const cut = () => {
      for (const pipe of this.#pipes) pipe.close();
      return Promise.resolve();
    };
    await removeExports(qmp, this.#exports, { cut, clock, log }).catch((error) => {
      log.log("warning", `QEMU keeps the exports of the comparison: ${messageOf(error)}`);
    });
    await cut();
    for (const name of this.#nodes.reverse()) await removeNode(this.#access, name);
    await removeFile(socketPath);
  }
}

/**
 * Whether the node of a guest's disk can be exported. QEMU 7.2.22 of Debian fails an assertion when a client
 * disconnects from an export of a disk with an iothread, as a killed process does; 10.0 and 11.1 do not.
 */
export async function canExportOwn(qmp: QmpClient): Promise<boolean> {
  return qmp.atLeast(10, 0) || (await qmp.execute("query-iothreads", {})).length === 0;
}

/**
 * Removes exports and nodes that a killed process left in QEMU.
 *
 * @throws {Error} when QEMU keeps an export.
 */
export async function removeLeft(
  qmp: QmpClient,
  options: Pick<StorageAccess, "clock"> & { readonly log: Logger },
): Promise<void> {
  const [exports, nodes] = await Promise.all([
    qmp.execute("query-block-exports", {}),
    qmp.execute("query-named-block-nodes", { flat: true }),
  ]);
  const left = exports.filter(({ id }) => id.startsWith(PREFIX))
    .map(({ id }) => ({ disk: "", exportName: id, id }));
  if (left.length > 0) {
    await removeExports(qmp, left, { ...options, cut: () => Promise.resolve() });
  }
  const names = nodes.map((node) => node["node-name"]).filter((name) => name.startsWith(PREFIX));
  // QEMU lists the newest node first, so each node comes before the nodes below it.
  for (const name of names) await removeNode({ qmp, ...options }, name);
}

async function removeNode(
  { qmp, clock, log }: Pick<StorageAccess, "qmp" | "clock" | "log">,
  name: string,
): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      await qmp.execute("blockdev-del", { "node-name": name });
      return;
    } catch (error) {
      if (error instanceof QmpCommandError && tries < GO_TRIES) {
        await delay(clock, GO_MS);
        continue;
      }
      log.log("warning", `QEMU keeps node ${name}: ${messageOf(error)}`);
      return;
    }
  }
}

/** A pipe that its reader cannot close. */
function keptOpen(pipe: BytePipe): BytePipe {
  return {
    read: (into) => pipe.read(into),
    write: (from) => pipe.write(from),
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };
}

function withNames(
  options: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => {
      const index = typeof value === "string" ? /^\$(\d+)$/.exec(value)?.[1] : undefined;
      return [key, index === undefined ? value : names[Number(index)]];
    }),
  );
}
