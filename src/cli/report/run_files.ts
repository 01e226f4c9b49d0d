import type { Logger } from "../../io/mod.ts";
import type { OwnIntroduction, Report } from "../../migrate/mod.ts";
import type { CommonOptions } from "../args/common.ts";
import type { ControlOutput } from "../control/status_board.ts";
import { MetricsFile } from "../metrics/metrics_file.ts";
import type { RunAbout } from "./data.ts";
import { RunHistory } from "./history.ts";
import { ReportFile } from "./report_file.ts";

/** Settings that an introduction holds. */
const MOST_SETTINGS = 128;

/** Where a command reports, with what is known of the command. */
interface Told {
  readonly report: Report;
  readonly log: Logger;
  readonly about?: RunAbout;
}

/** What a run writes beside its output: the files of `--metrics` and `--report`. Events pass through it. */
export class RunFiles implements ControlOutput, AsyncDisposable {
  readonly report: Report;
  readonly log: Logger;
  readonly identify: MetricsFile["identify"];
  /** What `--report` and `status --serve` show. */
  readonly history: RunHistory;
  /** What the peer's report shows of this end. */
  readonly introduction: OwnIntroduction;
  readonly #metrics: MetricsFile;
  readonly #file: ReportFile | undefined;

  /** @throws {UsageError} when a file cannot be written. */
  static async open(
    options: Pick<CommonOptions, "metrics" | "report">,
    output: Told,
    side: RunAbout["side"],
  ): Promise<RunFiles> {
    const about = output.about ?? { command: "", side, host: null, settings: [] };
    const history = new RunHistory({ about: { ...about, side }, now: () => Date.now() });
    const metrics = await MetricsFile.open(options.metrics, output);
    const file = options.report === undefined
      ? undefined
      : await ReportFile.open(options.report, history, (message) => {
        // The result is the last event.
        if (history.data().result) output.log.log("warning", message);
        else output.report({ event: "warning", code: "report", message });
      });
    return new RunFiles(metrics, history, file, introductionOf(about));
  }

  private constructor(
    metrics: MetricsFile,
    history: RunHistory,
    file: ReportFile | undefined,
    introduction: OwnIntroduction,
  ) {
    this.introduction = introduction;
    this.report = metrics.report;
    this.log = metrics.log;
    this.identify = metrics.identify;
    this.history = history;
    this.#metrics = metrics;
    this.#file = file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.[Symbol.asyncDispose]();
    await this.#metrics[Symbol.asyncDispose]();
  }
}

/** Within the bounds of the call. */
function introductionOf({ host, command, settings }: RunAbout): OwnIntroduction {
  const bounded = settings.slice(0, MOST_SETTINGS).map(({ name, value }) => ({
    name: name.slice(0, 64),
    value: value.slice(0, 1024),
  }));
  return { host: host?.slice(0, 256) ?? null, command: command.slice(0, 64), settings: bounded };
}
