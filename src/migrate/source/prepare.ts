import { openConnections } from "../session/connections.ts";
import { refusal } from "../errors.ts";
import { activateArrived } from "../guest/activate.ts";
import { type Guest, inspectGuest } from "../guest/inspect.ts";
import { carriesAsleep, runs, versionOf } from "../guest/run_states.ts";
import type { MirrorSet } from "../disks/mirror_set.ts";
import { encryptedOf } from "../disks/plan.ts";
import { probeExports } from "../disks/probe_exports.ts";
import { filledByZeroes, fillsWarning } from "../disks/target_images.ts";
import { hasPreempt } from "../postcopy/mod.ts";
import { qemuProcess } from "../qemu_process.ts";
import { introduce } from "../session/introduce.ts";
import { ramProblems } from "../ram/problems.ts";
import type { Params, Result } from "../../rpc/mod.ts";
import type { SourceContext } from "./context.ts";
import { linkDestination } from "./destination.ts";
import { type DestinationPeer, problemsThere } from "./destination_peer.ts";
import { chooseDisks, type Chosen, compareOrRefuse, mirrorsOf } from "./disks.ts";
import type { StorageAccess } from "../storage/access.ts";
import { chooseTopOnly } from "../storage/top_only.ts";
import { verifyProblems } from "../verify/mod.ts";
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
  context.report({ event: "host", side: "source", qemuVersion: versionOf(qmp) });
  const guest = await inspectGuest(qmp);
  const watch = context.watchGuest(runs(guest.status));
  const chosen = await chooseDisks(
    ...[qmp, guest, context.options.disks, context.options] as const,
    [
      ...await ramProblems(qmp, "source", context.options.ram),
      ...context.options.verify ? await verifyProblems(accessOf(context)) : [],
    ],
  );
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
  await openConnections(peer.session, signal);
  await peer.untilReady("prepare", signal);
  const announced = announce(context, guest, chosen);
  const { arrange, resume } = context.options;
  if (arrange && !resume) {
    const { disks } = announced;
    await arrange(peer, { migration: context.migration, guest: guest.description, disks, signal });
  }
  // A destination that has prepared this migration was compared by the process that was killed.
  const wasPrepared = await isPrepared(context, peer);
  await introduce((own) => peer.introduce(own, signal), {
    ...{ own: context.options.introduction, qemuVersion: versionOf(qmp) },
    report: context.report,
  });
  if (!wasPrepared) await compareEnds(context, peer, announced, chosen);
  const topOnly = await chooseTopOnly({
    ...context.options,
    ...{ access: accessOf(context), peer, chosen, isPrepared: wasPrepared, signal },
  });
  const prepared = await peer.prepare({ ...announced, checkOnly: false }, signal);
  const { multifd, qemuVersion } = prepared;
  context.report({ event: "host", side: "destination", qemuVersion });
  const postcopy = announced.postcopy && prepared.postcopy;
  for (const message of prepared.warnings) context.warn("destination", message);
  const images = prepared.images ?? [];
  const filtered = filteredDisks(context, prepared, chosen);
  context.asleepCanGo &&= carriesAsleep(qemuVersion);
  watch.checkAsleep();
  const mirrors = mirrorsOf(chosen.disks, prepared.exports, images, {
    topOnly,
    delta: filtered,
  });
  await probeExports(peer, mirrors, { awayMs: peer.session.patienceMs, signal });
  await activate(context, guest);
  await context.state.take("prepared", {
    "report mirror": () => context.phase("mirror"),
  }, { mirrors, recoverThere: prepared.recover, multifd, postcopy });
  context.verify(mirrors);
  const made = await context.qemu.makeMirrors(mirrors, context.rttMs);
  await context.qemu.serveMirrors(true);
  return { is: "prepared", mirrors: made };
}

/** Disks of which only what the destination lacks is sent: those of `--delta`, and those that zeroes would fill. */
function filteredDisks(
  context: SourceContext,
  { hashes, images }: Result<"prepare">,
  { disks }: Chosen,
): ReadonlySet<string> {
  const filled = filledByZeroes(context.qmp, images ?? []);
  const { delta = false } = context.options;
  if (hashes) {
    return new Set(delta ? disks.map(({ name }) => name) : filled.map(({ disk }) => disk));
  }
  for (const image of filled) context.warn("not-thin", fillsWarning(image));
  return new Set();
}

type Announced = Omit<Params<"prepare">, "checkOnly">;

function announce(context: SourceContext, guest: Guest, { all, disks, shared }: Chosen): Announced {
  return {
    ...{ migration: context.migration, guest: guest.description, disks },
    shared: shared.length > 0 ? shared : null,
    encrypted: encryptedOf(all, disks),
    multifd: context.options.ram?.multifd ?? null,
    postcopy: context.options.ram?.postcopy ? { preempt: hasPreempt(context.qmp) } : null,
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
  const { signal, options: { delta = false, verify = false } } = context;
  const problems = () => problemsThere(peer, announced, { delta, verify, signal });
  await context.machine.compare(peer, signal, problems);
  // An older destination does not refuse what it does not know.
  const more = announced.multifd || announced.postcopy || delta || verify ? await problems() : [];
  if (more.length > 0) throw refusal("refused", "destination", more);
  await compareOrRefuse({ ...context.options, peer, chosen, signal });
}

function accessOf({ options, qmp, clock, log }: SourceContext): StorageAccess {
  return { ...options.host, qmp, clock, log, socketPath: options.compareSocket };
}

async function activate({ qmp, options, log }: SourceContext, { status }: Guest): Promise<void> {
  const { runDir, removeFile } = options;
  const socketPath = runDir.path("activate.sock");
  await activateArrived({ qmp, status, socketPath, removeFile, log });
}
