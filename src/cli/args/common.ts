/**
 * The options of every command. Pure.
 *
 * @module
 */
import type { Given } from "./given.ts";
import { LOG_FORMATS, type LogFormat } from "../output/log_format.ts";
import { UsageError } from "./usage_error.ts";

/** What every command has. */
export interface CommonOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly secretFile: string | undefined;
  readonly insecure: boolean;
  /** Absent: `text`. */
  readonly logFormat?: LogFormat;
  /** Path of the file for metrics. */
  readonly metrics?: string;
  /** Path of the file for the report. */
  readonly report?: string;
}

/** Reads {@link CommonOptions}. */
export function common(given: Given): CommonOptions {
  if (given.has("quiet") && given.has("verbose")) {
    given.fail("--quiet and --verbose exclude each other");
  }
  return {
    json: given.has("json"),
    quiet: given.has("quiet"),
    verbose: given.has("verbose"),
    secretFile: given.one("secret-file"),
    insecure: given.has("insecure"),
    ...logFormatOf(given),
    ...metricsOf(given),
    ...reportOf(given),
  };
}

function metricsOf(given: Given): Pick<CommonOptions, "metrics"> {
  const metrics = given.one("metrics");
  if (metrics === undefined) return {};
  if (metrics.endsWith(".prom")) return { metrics };
  throw new UsageError(
    `--metrics: got "${metrics}", expected a name that ends in .prom: node_exporter reads no other`,
  );
}

function reportOf(given: Given): Pick<CommonOptions, "report"> {
  const isPage = (text: string) => /\.html?$/i.test(text) ? text : undefined;
  const report = given.read("report", isPage, "a name that ends in .html");
  return report === undefined ? {} : { report };
}

function logFormatOf(given: Given): Pick<CommonOptions, "logFormat"> {
  const isFormat = (text: string) => LOG_FORMATS.find((format) => format === text);
  const logFormat = given.read("log-format", isFormat, "text, json or journald");
  return logFormat ? { logFormat } : {};
}
