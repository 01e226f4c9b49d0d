import { activateArrived } from "../guest/activate.ts";
import { type Guest, inspectGuest } from "../guest/inspect.ts";
import { carriesAsleep, runs } from "../guest/run_states.ts";
import type { MirrorSet } from "../disks/mirror_set.ts";
import { probeExports } from "../disks/probe_exports.ts";
import { thickened } from "../disks/target_images.ts";
import { qemuProcess } from "../qemu_process.ts";
import type { Params } from "../../rpc/mod.ts";
import type { SourceContext } from "./context.ts";
import { linkDestination } from "./destination.ts";
import { type DestinationPeer, problemsThere } from "./destination_peer.ts";
import { chooseDisks, type Chosen, compareOrRefuse, mirrorsOf } from "./disks.ts";
import { needsSinglePass, singlePassWarning } from "../guest/single_pass.ts";

/** The destination exports its disks, and QEMU can connect its mirrors to them. */
export interface Prepared {
  readonly is: "prepared";
  readonly mirrors: MirrorSet;
}

/**
 * Makes sure that the guest can move, and has the destination export its disks. In the source's
 * QEMU only an inactive disk is activated, last; at the destination nothing changes before both ends were compared.
 *
 * @throws {MigrationError} kind `refused`, naming everything that stands in the way.
 */
export async function prepare(context: SourceContext): Promise<Prepared> {
  const { qmp, signal } = context;
  context.phase("prepare");
  const guest = await inspectGuest(qmp);
  const watch = context.watchGuest(runs(guest.status));
  const chosen = await chooseDisks(qmp, guest, context.options.disks, context.options);
  for (const message of chosen.warnings) context.warn("stays-behind", message);
  if (runs(guest.status) && await needsSinglePass(qmp)) {
    context.warn("single-pass", singlePassWarning(qmp));
  }
  await context.guardMachine();
  const { name, uuid } = guest.description;
  await watch.look(runs);
  const qemu = await qemuProcess(qmp);
  // Before the destination hears of this migration: a process that resumes it has to know its name.
  await context.state.note({ wasRunning: watch.shouldRun, guest: name ?? uuid ?? "", qemu });
  const peer = await context.connect(signal);
  linkDestination(context, peer);
  await peer.untilReady("prepare", signal);
  const announced = announce(context, guest, chosen);
  const { arrange, resume } = context.options;
  if (arrange && !resume) {
    const { disks } = announced;
    await arrange(peer, { migration: context.migration, guest: guest.description, disks, signal });
  }
  // A destination that has prepared this migration was compared by the process that was killed.
  if (!await isPrepared(context, peer)) await compareEnds(context, peer, announced, chosen);
  const prepared = await peer.prepare({ ...announced, checkOnly: false }, signal);
  for (const message of prepared.warnings) context.warn("destination", message);
  const images = prepared.images ?? [];
  for (const message of thickened(qmp, images)) context.warn("not-thin", message);
  context.asleepCanGo &&= carriesAsleep(prepared.qemuVersion);
  watch.checkAsleep();
  const mirrors = mirrorsOf(chosen.disks, prepared.exports, images, context.options.sync);
  await probeExports(peer, mirrors, { awayMs: peer.session.patienceMs, signal });
  await activate(context, guest);
  await context.state.take("prepared", {
    "report mirror": () => context.phase("mirror"),
  }, { mirrors, recoverThere: prepared.recover });
  const made = await context.qemu.makeMirrors(mirrors, context.rttMs);
  await context.qemu.serveMirrors();
  return { is: "prepared", mirrors: made };
}

type Announced = Omit<Params<"prepare">, "checkOnly">;

function announce(context: SourceContext, guest: Guest, { disks, shared }: Chosen): Announced {
  return {
    ...{ migration: context.migration, guest: guest.description, disks },
    shared: shared.length > 0 ? shared : null,
  };
}

/** Another process has called `prepare` for this migration, and the destination has done it. */
async function isPrepared(context: SourceContext, peer: DestinationPeer): Promise<boolean> {
  if (!context.options.resume) return false;
  return (await peer.status(context.migration)).state === "prepared";
}

async function compareEnds(
  context: SourceContext,
  peer: DestinationPeer,
  announced: Announced,
  chosen: Chosen,
): Promise<void> {
  const { signal } = context;
  await context.machine.compare(peer, signal, () => problemsThere(peer, announced, signal));
  await compareOrRefuse({ ...context.options, peer, chosen, signal });
}

async function activate({ qmp, options, log }: SourceContext, { status }: Guest): Promise<void> {
  const { runDir, removeFile } = options;
  const socketPath = runDir.path("activate.sock");
  await activateArrived({ qmp, status, socketPath, removeFile, log });
}
