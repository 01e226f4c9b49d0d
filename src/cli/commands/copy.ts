import { systemClock } from "../../io/mod.ts";
import { CopySource } from "../../copy/mod.ts";
import { mapPath, unusedMaps } from "../../launch/mod.ts";
import { asMigrationError, Limits, MigrationError } from "../../migrate/mod.ts";
import type { CopyCommand } from "../copy/args.ts";
import { UsageError } from "../args/usage_error.ts";
import { connector } from "../endpoint/connecting_end.ts";
import { CopyControl } from "../copy/copy_control.ts";
import { CONTROL_SOCKET } from "../control/protocol.ts";
import { copyHost } from "../copy/copy_host.ts";
import { copyEvent } from "../output/copy_event.ts";
import type { CopyEvent } from "../output/events.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { exitCodeOf } from "../output/result.ts";
import { Place } from "../parallel/place.ts";
import { realPath } from "../paths.ts";
import { RunFiles } from "../report/run_files.ts";
import { removeAbandoned } from "../run/abandoned.ts";
import { runBase } from "../run/base.ts";
import { PrivateRunDir } from "../run/run_dir.ts";
import { onSignals } from "../signals.ts";

/** The source of a copy: carries images of a guest that is shut off to another host. */
export async function copy(options: CopyCommand, output: Output): Promise<ExitCode> {
  const { log } = output;
  await using files = await RunFiles.open(options, output, "source");
  await using control = new CopyControl(files.report, log, files.history);
  const { report } = control;
  const end = (event: CopyEvent) => {
    output.report(event);
    control.end(event);
  };
  const startedAt = systemClock.now();
  const stop = new AbortController();
  using _signals = onSignals((name) => {
    const message = `Cancelled by ${name} at the source`;
    stop.abort(new MigrationError("cancelled", "cancelled", "source", message));
  });
  const told = { report, log, line: (text: string) => output.line(text) };
  const connect = await connector(options.destination, options, told);
  let source: CopySource | undefined;
  try {
    const { maps, format, reuse, resume, bandwidth, delta, verify } = options;
    const paths = await Promise.all(options.images.map(realPath));
    for (const { from } of unusedMaps(maps, paths)) {
      throw new UsageError(`--map: no image is ${from}, or in a directory of that name`);
    }
    const targets = paths.map((path) => mapPath(path, maps));
    for (const path of reuse.filter((each) => !targets.includes(each))) {
      throw new UsageError(`--reuse: no image goes to ${path}, but to ${targets.join(", ")}`);
    }
    const { signal } = stop;
    const limits = new Limits(bandwidth, 0);
    const serve = (dir: PrivateRunDir) =>
      control.serve(
        dir.own(CONTROL_SOCKET),
        { role: "source", runDir: dir.directory, images: paths },
        { cancel: (reason) => stop.abort(reason), bandwidth, share: () => limits.share },
      );
    await using place = await Place.take({
      ...{ parallel: options.parallel, runDir: options.runDir, onWait: serve },
      ...{ what: `copy of ${paths.join(", ")}`, signal, report, log },
    });
    await removeAbandoned(runBase(options.runDir), log);
    await using dir = await PrivateRunDir.make(options.runDir, "source");
    await serve(dir);
    await place.begin();
    source = new CopySource({
      ...{ host: await copyHost(dir, log), paths, format, reuse, resume },
      ...{ delta, verify },
      ...{ connect, report, signal, target: (path) => mapPath(path, maps) },
      limit: (session) => limits.holdSession(session),
    });
    await place.share({
      ...{ limits, phase: () => control.phase, bytes: () => source?.bytes ?? 0 },
    });
    const images = await source.run();
    end(copyEvent({ side: "source", startedAt, bytes: source.bytes, images }));
    return EXIT.done;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const failure = asMigrationError(error, "source");
    const { bytes = 0, hasBegun = false, openBases = [] } = source ?? {};
    end(
      copyEvent({
        side: "source",
        startedAt,
        bytes,
        images: [],
        error: failure,
        hasBegun,
        openBases,
      }),
    );
    return exitCodeOf(failure);
  }
}
