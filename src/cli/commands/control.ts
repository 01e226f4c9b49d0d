/**
 * The commands that speak to a migration that is running: `status`, `cancel`, `set`.
 *
 * @module
 */
import { DeadlineError, messageOf } from "../../io/mod.ts";
import type { Command } from "../args/mod.ts";
import type { ChoiceOptions } from "../args/control.ts";
import { matching, nobody, theOne, type Wanted } from "../control/choice.ts";
import { ask, findMigrations, type Found } from "../control/client.ts";
import { ControlError, type InForce } from "../control/protocol.ts";
import type { Result } from "../control/status_board.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { absolutePath } from "../paths.ts";
import { runBase } from "../run/base.ts";
import { serve } from "../serve/serve.ts";
import { watch } from "./watch.ts";

/** Changes that an older vmferry does not know. */
const SINCE_LATER = ["pause", "timeoutMs", "timeoutAction", "autoConverge", "postcopy"] as const;
/** How long a migration may take to carry out `set`, ms; QEMU can be busy. */
const SET_MS = 90_000;
/** As long as it takes, ms. */
const LONG_MS = 86_400_000;

/** Tells how every migration is that was asked for; exit 3 when there is none. */
export function status(
  options: Command & { readonly command: "status" },
  output: Output,
): Promise<ExitCode> {
  return refusable(output, async () => {
    const base = runBase(options.runDir);
    if (options.serve) return await serve(base, await wantedBy(options), options.serve, output);
    if (options.watch) return await watch(base, await wantedBy(options), options, output);
    const { found, silent } = await findMigrations(base);
    const fitting = matching(found, await wantedBy(options));
    for (const { status } of fitting) output.answerEvent(status);
    if (fitting.length === 0) {
      // For programs, too: what is there, though it can't be asked.
      if (options.json) { for (const one of silent) output.report({ event: "silent", ...one }); }
      throw new ControlError("not-here", nobody(found, silent, base));
    }
    for (const one of silent) output.report({ event: "silent", ...one });
    return EXIT.done;
  });
}

/** Ends a migration and waits until everything is undone. */
export function cancel(
  options: Command & { readonly command: "cancel" },
  output: Output,
): Promise<ExitCode> {
  return refusable(output, async () => {
    const { socket } = await chosen(options);
    let result: Result;
    try {
      const ms = options.timeoutMs || LONG_MS;
      result = await ask(socket, { command: "cancel" }, ms) as Result;
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      const seconds = options.timeoutMs / 1000;
      output.line(
        `vmferry: the migration has not ended within ${seconds} s of the request; ` +
          "'vmferry status' shows its progress",
      );
      return EXIT.unknown;
    }
    output.report(result);
    switch (result.outcome) {
      case "cancelled":
        return EXIT.done;
      case "copied":
      case "migrated":
        return EXIT.refused;
      case "unknown":
        return EXIT.unknown;
      case "failed":
        return EXIT.failed;
    }
  });
}

/** Changes a migration's limits. */
export function set(
  options: Command & { readonly command: "set" },
  output: Output,
): Promise<ExitCode> {
  return refusable(output, async () => {
    const { socket } = await chosen(options);
    const { change } = options;
    const now = await ask(socket, { command: "set", ...change }, SET_MS) as InForce;
    for (const name of SINCE_LATER) {
      if (change[name] === undefined || now[name] !== undefined) continue;
      const message = `The vmferry that runs the migration is older and has not set ${name}`;
      throw new ControlError("failed", message);
    }
    output.answerEvent({ event: "limits", ...now });
    return EXIT.done;
  });
}

async function chosen(options: ChoiceOptions): Promise<Found> {
  const base = runBase(options.runDir);
  const { found, silent } = await findMigrations(base);
  return theOne(found, silent, await wantedBy(options), base);
}

async function wantedBy({ qmp, name }: ChoiceOptions): Promise<Wanted> {
  if (qmp === undefined) return { qmp: undefined, name };
  const path = absolutePath(qmp);
  return { qmp: [path, await Deno.realPath(path).catch(() => path)], name };
}

async function refusable(output: Output, work: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ControlError) {
      output.line(`vmferry: ${error.message}`);
      return error.code === "failed" || error.code === "gone" ? EXIT.failed : EXIT.refused;
    }
    if (error instanceof DeadlineError) {
      output.line(`vmferry: ${messageOf(error)}`);
      return EXIT.failed;
    }
    throw error;
  }
}
