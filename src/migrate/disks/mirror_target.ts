import { type Logger, messageOf } from "../../io/mod.ts";
import { type QmpClient, QmpCommandError } from "../../qmp/mod.ts";
import type { CopyMode } from "../ram_choices.ts";

/** How long QEMU may take for a `yank`, ms; it executes one even while its main loop is blocked. */
const YANK_MS = 5_000;

/** A disk that is copied: its mirror job and the node that the job writes to. */
export interface Mirror {
  /** The disk's name, as the user knows it. */
  readonly name: string;
  /** Name of the block node that is copied. */
  readonly device: string;
  readonly sizeBytes: number;
  readonly exportName: string;
  readonly jobId: string;
  readonly targetNode: string;
  /**
   * Zeroes must not become holes at the destination: there they would deallocate a preallocated image,
   * or fill a thin one.
   */
  readonly noHoles: boolean | null;
  /** Only what the uppermost image has is copied: the destination's disk has the same image below. */
  readonly topOnly: boolean | null;
  /** What the destination's disk holds already is not sent: vmferry is QEMU's NBD server. */
  readonly delta: boolean | null;
}

/**
 * The node that a disk is copied to, for `blockdev-add`: an NBD client on vmferry's socket. With
 * `noHoles` a `raw` node is put on top of it: QEMU 7.2 passes a mirror's discards to the node that the
 * mirror writes to, whatever its `discard` option says, and drops them only below that node.
 *
 * With `delta` vmferry decides what becomes a hole. A target that can make holes is zeroed by QEMU before
 * anything is copied (7.2, 10.0), and what it holds would be lost.
 */
export function targetOptions(mirror: Mirror, socketPath: string) {
  const keepsHoles = mirror.noHoles || mirror.delta;
  const client = {
    driver: "nbd",
    "node-name": clientNode(mirror),
    server: { type: "unix", path: socketPath },
    export: mirror.exportName,
    // No request may wait for a lost server: QEMU waits for all requests wherever it drains its disks,
    // such as at the end of a migration, and the guest waits with it. The paused job waits instead.
    "reconnect-delay": 0,
    // Both options are needed for zeroes to become holes at the destination.
    "detect-zeroes": keepsHoles ? "off" : "unmap",
    discard: keepsHoles ? "ignore" : "unmap",
  } as const;
  // vmferry's own server offers no discards.
  if (!mirror.noHoles || mirror.delta) return client;
  return {
    driver: "raw",
    "node-name": mirror.targetNode,
    discard: "ignore",
    file: client,
  } as const;
}

export interface ConnectTargetOptions {
  /** Whether the destination cannot be reached for now. */
  readonly away: () => boolean;
  /** Resolves after a moment. */
  readonly pause: () => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Adds a target node (`blockdev-add`), for which QEMU connects to the export. While the destination
 * cannot be reached, vmferry closes that connection, because QEMU and the guest wait for the server's
 * greeting. This function then tries again once the destination is back.
 *
 * @throws {QmpCommandError} when QEMU cannot connect although the destination can be reached.
 * @throws the signal's reason.
 */
export async function connectTarget(
  qmp: QmpClient,
  target: ReturnType<typeof targetOptions>,
  { away, pause, signal }: ConnectTargetOptions,
): Promise<void> {
  while (true) {
    try {
      await qmp.execute("blockdev-add", target, { signal });
      return;
    } catch (error) {
      if (!(error instanceof QmpCommandError) || !away()) throw error;
    }
    while (away()) {
      await pause();
      signal.throwIfAborted();
    }
  }
}

export interface StartMirrorOptions {
  /** QEMU pauses the job on an error of the target; otherwise the error ends the job. */
  readonly mayWait: boolean;
  /** `buf-size`, bytes; `undefined`: QEMU's default. */
  readonly bufferBytes: number | undefined;
  /** Default: `background`. */
  readonly copyMode?: CopyMode;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts the job that copies a disk (`blockdev-mirror`). It keeps running once everything is copied,
 * and stays in QEMU after its end (`auto-dismiss` off) so that its error can be read.
 *
 * @throws {QmpCommandError} when QEMU rejects it.
 */
export async function startMirror(
  qmp: QmpClient,
  mirror: Mirror,
  { mayWait, bufferBytes, copyMode = "background", signal }: StartMirrorOptions,
): Promise<void> {
  await qmp.execute("blockdev-mirror", {
    "job-id": mirror.jobId,
    device: mirror.device,
    target: mirror.targetNode,
    sync: mirror.topOnly ? "top" : "full",
    "copy-mode": copyMode,
    "on-source-error": "report",
    "on-target-error": mayWait ? "stop" : "report",
    "auto-dismiss": false,
    ...(bufferBytes === undefined ? {} : { "buf-size": bufferBytes }),
  }, signal ? { signal } : {});
}

/** Reads from each target node (`qemu-io` by `human-monitor-command`), so that QEMU reconnects it. */
export async function touchTargets(
  qmp: QmpClient,
  nodes: readonly string[],
  log: Logger,
): Promise<void> {
  await Promise.all(nodes.map(async (node) => {
    const read = { "command-line": `qemu-io ${node} "read 0 512"` };
    await qmp.execute("human-monitor-command", read)
      .catch((error) => log.log("debug", `qemu-io: ${messageOf(error)}`));
  }));
}

/** Makes every request to these targets fail at once (`yank`, QEMU 6.0; does nothing before). */
export async function cutTargets(
  qmp: QmpClient,
  mirrors: readonly Mirror[],
  log: Logger,
): Promise<void> {
  if (!qmp.hasCommand("yank")) return;
  await Promise.all(mirrors.map(async (mirror) => {
    const instances = [{ type: "block-node", "node-name": clientNode(mirror) }];
    // Out of band: QEMU's main loop may be blocked by one of them.
    await qmp.executeUntyped("yank", { instances }, { oob: true, timeoutMs: YANK_MS })
      .catch((error) => log.log("debug", `yank: ${messageOf(error)}`));
  }));
}

/** The node that has the connection, for `yank`. */
export function clientNode({ targetNode, noHoles, delta }: Mirror): string {
  // A node's name has at most 31 characters.
  return noHoles && !delta ? `${targetNode.replace(/-target$/, "")}-nbd` : targetNode;
}
