import { delay, systemClock } from "../../io/mod.ts";
import { matching, nobody, type Wanted } from "../control/choice.ts";
import { findMigrations } from "../control/client.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import { lineOf } from "../output/lines.ts";
import type { Output } from "../output/output.ts";
import { Screen, type TerminalSize } from "../output/screen.ts";
import { onSignals } from "../signals.ts";

/** Time between two looks, ms. */
const EVERY_MS = 1000;

/**
 * Shows the migrations of this host until a signal: on a terminal as one picture that is drawn again, else
 * again and again, as JSON lines if that is asked for.
 *
 * @param base the directory of the runs.
 */
export async function watch(
  base: string,
  wanted: Wanted,
  options: { readonly json: boolean },
  output: Output,
): Promise<ExitCode> {
  const stop = new AbortController();
  using _signals = onSignals(() => stop.abort());
  const isScreen = !options.json && Deno.stdout.isTerminal();
  let last = "";
  {
    using screen = isScreen ? new Screen(write, size) : undefined;
    const draw = () => screen?.show(last.split("\n"));
    using _resized = onResize(draw);
    while (!stop.signal.aborted) {
      const { found, silent } = await findMigrations(base);
      const fitting = matching(found, wanted);
      if (options.json) {
        for (const { status } of fitting) output.report(status);
        for (const one of silent) output.report({ event: "silent", ...one });
      } else {
        const blocks = fitting.map(({ status }) => lineOf(status, false)!);
        if (fitting.length === 0) blocks.push(nobody(found, silent, base));
        else blocks.push(...silent.map((one) => lineOf({ event: "silent", ...one }, false)!));
        last = [`${new Date().toISOString().slice(11, 19)}Z`, ...blocks].join("\n\n");
        if (screen) draw();
        else output.answer(`${last}\n`);
      }
      await delay(systemClock, EVERY_MS, stop.signal).catch(() => {});
    }
  }
  // The terminal is as before: what was seen last stays to be read.
  if (isScreen) output.answer(last);
  return EXIT.done;
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function size(): TerminalSize {
  const { rows, columns } = Deno.consoleSize();
  // A terminal that has no size says 0.
  return { rows: rows || 24, columns: columns || 80 };
}

function onResize(draw: () => void): Disposable {
  Deno.addSignalListener("SIGWINCH", draw);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGWINCH", draw) };
}
