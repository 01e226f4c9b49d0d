import type { Making } from "./making.ts";
import type { LaunchDestinationOptions } from "./options.ts";
import { removeLaunch } from "./remove.ts";

/**
 * Ends the QEMU of a launch and removes everything that it has created. Never rejects.
 *
 * @returns what is left of the launch, as text; it is reported, as are files of other programs.
 */
export async function undoMaking(
  making: Making,
  { host, report }: Pick<LaunchDestinationOptions, "host" | "report">,
): Promise<readonly string[]> {
  await Promise.all([making.recorded.noteUndo(host.log), making.stop()]);
  const { left, foreign } = await removeLaunch(host, making.recorded.current);
  // Its starter, QEMU's parent, has seen the end.
  making.release();
  if (foreign.length > 0) {
    const message = `Not removed at the destination: ${foreign.join("; ")}. It stays as it is`;
    report({ event: "warning", code: "not-undone", message });
  }
  if (left.length > 0) {
    const message = `Not removed at the destination: ${left.join("; ")}. The next ` +
      "'vmferry receive --launch' on this host tries again";
    report({ event: "warning", code: "not-undone", message });
  } else {
    await making.recorded.write({ state: "undone" }).catch((error) => {
      host.log.log("warning", `the journal: ${error.message}`);
    });
  }
  return left;
}
