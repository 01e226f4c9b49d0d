import type { TunnelStream } from "../../tunnel/mod.ts";
import type { SourceContext } from "./context.ts";
import type { Copied } from "./copy.ts";
import type { Ram } from "../ram/ram.ts";

/** QEMU has paused the guest for the switchover; its disks are still the source's. */
export interface Paused extends Copied {
  readonly ram: Ram;
}

/**
 * Sends RAM while the guest runs, until QEMU pauses the guest. Throws the first cause when the migration
 * fails.
 */
export async function sendRam(context: SourceContext, copied: Copied): Promise<Paused> {
  const ram = await start(context, copied);
  await ram.preSwitchover();
  context.qemu.guestPaused();
  return { ...copied, ram };
}

async function start(context: SourceContext, { mirrors }: Copied): Promise<Ram> {
  const { signal, machine, qemu } = context;
  const destination = context.destination!;
  const settings = await qemu.plan(context.guest!.asleep);
  // Before a stream is open: QEMU 11.1 answers nothing from then on until the first byte comes.
  await destination.withPeer((peer) => machine.compare(peer, signal), signal);
  let streams: readonly TunnelStream[] = [];
  let ram: Ram | undefined;
  await context.state.take("ready", {
    "call stream": async () => streams = await qemu.openStreams(signal),
    "qemu mirrors-ready": async () => {
      // A destination whose tool was started again just now: QEMU connects its mirrors first.
      await mirrors.allStillReady(signal);
      await machine.look();
    },
    "report ram": () => context.phase("ram"),
    "qemu migrate": async () => {
      ram = await qemu.startRam(settings, streams, signal);
      context.progress?.withRam(ram);
    },
    // What the settings change is undone by the record.
  }, { settings: settings.before });
  return ram!;
}
