import { delay, type Logger, messageOf, withDeadline } from "../../io/mod.ts";
import { NbdReader } from "../../nbd/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import { type NbdExport, removeExports } from "../nbd_exports.ts";
import type { StorageAccess } from "./access.ts";

/** Begins the names of all that is made for a comparison, so that the next run finds what a killed one left. */
export const PREFIX = "vmferry-compare-";

/** How long one export may take to be opened, ms. */
const OPEN_MS = 5_000;
/** How often a node is asked to go that its export has not let go of yet, and how often, ms. */
const GO_TRIES = 50;
const GO_MS = 20;

/** A node to read: one that QEMU has, or one to be opened beside it and closed again. */
export interface NodeToRead {
  /** A node that QEMU has. */
  readonly node?: string;
  /**
   * Options of nodes to open, each on those before it, the last one to be read. Their node names are chosen
   * here: `$0` stands for the first one's, and so on. Where the first list does not work, the next is tried.
   */
  readonly open?: readonly (readonly Readonly<Record<string, unknown>>[])[];
}

/** Read-only exports of some of QEMU's nodes on a private socket, for as long as this lives. */
export class TemporaryExports implements AsyncDisposable {
  readonly #access: StorageAccess;
  readonly #nodes: string[] = [];
  readonly #exports: NbdExport[] = [];
  readonly #readers: NbdReader[] = [];
  readonly #nonce = crypto.randomUUID().slice(0, 8);

  /**
   * Starts QEMU's NBD server.
   *
   * @throws {QmpCommandError} when it does not start: somebody else uses it, or QEMU may not make the socket.
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
   * Opens a node for reading. What it took is taken back when this is disposed.
   *
   * @throws {Error} when QEMU can't.
   */
  async open(what: NodeToRead): Promise<NbdReader> {
    const { qmp, clock, connectUnix, socketPath } = this.#access;
    const node = what.node ?? await this.#openNodes(what.open ?? []);
    const id = `${PREFIX}${this.#nonce}-${this.#exports.length}`;
    this.#exports.push({ disk: "", exportName: id, id });
    await qmp.execute("block-export-add", {
      ...{ type: "nbd", id, "node-name": node, name: id, writable: false },
    });
    const pipe = await connectUnix(socketPath);
    const opening = NbdReader.open(pipe, id);
    try {
      const reader = await withDeadline(clock, OPEN_MS, `NBD export "${id}"`, opening);
      this.#readers.push(reader);
      return reader;
    } catch (error) {
      opening.then((reader) => reader[Symbol.dispose](), () => {});
      pipe.close();
      throw error;
    }
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

  /** Takes everything back. Never throws: what QEMU keeps is found by its name later. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { qmp, clock, log, socketPath, removeFile } = this.#access;
    // Exports go before their clients leave, see removeExports.
    const cut = () => {
      for (const reader of this.#readers) reader[Symbol.dispose]();
      return Promise.resolve();
    };
    await removeExports(qmp, this.#exports, { cut, clock, log }).catch((error) => {
      log.log("warning", `the exports for the comparison are left in QEMU: ${messageOf(error)}`);
    });
    await cut();
    for (const name of this.#nodes.reverse()) await removeNode(this.#access, name);
    await removeFile(socketPath);
  }
}

/** Removes what a process that was killed has left in QEMU of a comparison. */
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
  // What stands on another one was made after it.
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
      log.log("warning", `node ${name} is left in QEMU: ${messageOf(error)}`);
      return;
    }
  }
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
