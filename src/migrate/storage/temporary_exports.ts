import { type BytePipe, delay, messageOf, withDeadline } from "../../io/mod.ts";
import { type ExtentKind, NbdReader } from "../../nbd/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { idsOfNbdExports, type NbdExport, removeExports } from "../disks/nbd_exports.ts";
import type { StorageAccess } from "./access.ts";
import type { NbdServer } from "./address.ts";
import { ExportsInUseError, PREFIX, removeLeft, removeNode } from "./left_exports.ts";

/** How long an export may take to open, ms. */
const OPEN_MS = 5_000;
/** How long another process, such as a check, may read the disks before this one gives up, ms. */
const OTHERS_MS = 20_000;
/** How long a server without exports may be that of a process that begins or ends, ms. */
const IDLE_MS = 2_000;
/** Time between two looks whether QEMU has no NBD server any more, ms. */
const LOOK_MS = 100;

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
  /** Number of names that this process has given: none may be that of a node that QEMU has kept. */
  static #named = 0;
  readonly #mark: string;
  #stopped = false;

  /**
   * Starts QEMU's NBD server, after removing what a killed run left. Waits for a running process that has it for
   * the same purpose, 20 s at most.
   *
   * @throws {QmpCommandError} when it does not start: it runs already, or QEMU may not create the socket.
   * @throws {ExportsInUseError} when another process still has it.
   */
  static async start(access: StorageAccess): Promise<TemporaryExports> {
    const { qmp, clock, log, socketPath, processes } = access;
    // Nothing may fail between the start of the server and its owner.
    const mark = await processes.own();
    const until = clock.now() + OTHERS_MS;
    let idleUntil = clock.now() + IDLE_MS;
    while (true) {
      try {
        await removeLeft(qmp, access);
        await qmp.execute("nbd-server-start", {
          addr: { type: "unix", data: { path: socketPath } },
          "max-connections": 0,
        });
        break;
      } catch (error) {
        const now = clock.now();
        // Its exports go first, and then its server.
        if (error instanceof ExportsInUseError) idleUntil = now + IDLE_MS;
        else if (now >= idleUntil || !await isIdle(qmp, error)) throw error;
        if (now >= until) throw error;
      }
      await delay(clock, LOOK_MS);
    }
    log.log("debug", `comparing storage over ${socketPath}`);
    return new TemporaryExports(access, mark);
  }

  private constructor(access: StorageAccess, mark: string) {
    this.#access = access;
    this.#mark = mark;
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
    const id = this.#newName();
    this.#exports.push({ disk: "", exportName: id, id });
    await qmp.execute("block-export-add", {
      ...{ type: "nbd", id, "node-name": node, name: id, writable: false },
      ...(kind === "allocated" ? { "allocation-depth": true } : {}),
    });
    return await this.#read(await connectUnix(socketPath), id, kind);
  }

  /** At most 31 characters, which is the longest name of a node. */
  #newName(): string {
    return `${PREFIX}${this.#mark}-${(TemporaryExports.#named++).toString(36)}`;
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
          const name = this.#newName();
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

/** Whether the NBD server that was in the way of `nbd-server-start` serves nothing, or a comparison by now. */
async function isIdle(qmp: QmpClient, error: unknown): Promise<boolean> {
  if (!(error instanceof QmpCommandError) || !/already/i.test(error.message)) return false;
  return (await idsOfNbdExports(qmp)).every((id) => id.startsWith(PREFIX));
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
