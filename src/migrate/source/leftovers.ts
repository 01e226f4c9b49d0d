import { messageOf } from "../../io/mod.ts";
import { leftHere } from "../undo.ts";
import type { SourceContext } from "./context.ts";

/** Writes what could not be undone: the next migration of this QEMU undoes it first. */
export async function leave(context: SourceContext, left: readonly string[]): Promise<void> {
  const { state, log } = context;
  if (left.length === 0 || context.qemuGone) return;
  context.leftBehind = true;
  await state.write({ state: state.current, left: left.map((text) => text.slice(0, 1024)) })
    .catch((error) => log.log("warning", `the journal: ${messageOf(error)}`));
  if (state.current !== "done") return;
  const [message] = leftHere("source", left);
  context.warn("not-undone", message!);
}
