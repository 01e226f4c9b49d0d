import type { SourceContext } from "./context.ts";

/**
 * Has both ends' owners do what comes before RAM crosses, first here and then at the destination. The guest
 * runs meanwhile, and its disks stay in mirrors that are ready.
 *
 * @throws what `SourceOptions.beforeSwitchover` throws, the destination's reason, and the first cause when the migration
 * fails meanwhile.
 */
export async function beforeSwitchover(
  { options, destination, signal }: SourceContext,
): Promise<void> {
  await options.beforeSwitchover?.(signal);
  signal.throwIfAborted();
  // A destination whose tool was started again does it again.
  await destination!.withPeer((peer) => peer.untilReady("switchover", signal), signal);
}
