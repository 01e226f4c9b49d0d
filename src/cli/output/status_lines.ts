import { introduce } from "../control/choice.ts";
import type { StatusEvent } from "./events.ts";
import { compressed, details, percent, PHASES, throttled } from "./words.ts";
import { formatSeconds, formatSize } from "../args/size.ts";
import { linkWords } from "./link_words.ts";

/** How a running migration is, for people. Pure. */
export function statusLines(status: StatusEvent): string {
  const { phase, disks, ram, rate, eta, link, ending } = status;
  const head = introduce(status);
  const lines = [
    (phase === null ? `waiting for a source on ${status.address ?? "its way"}` : PHASES[phase]) +
    `, ${formatSeconds(status.elapsedMs / 1000)} so far` +
    (eta === null ? "" : `, ${formatSeconds(eta)} left`),
    ...disks.map((d) =>
      (d.ready
        ? `disk ${d.name}: ready, ${formatSize(d.total - d.transferred)} behind`
        : `disk ${d.name}: ${percent(d.transferred, d.total)} of ${
          formatSize(d.sizeBytes ?? d.total)
        }`) + details(d)
    ),
  ];
  if (ram) {
    lines.push(
      `RAM: ${formatSize(ram.remaining)} left, pass ${ram.iteration}, ` +
        `changes at ${formatSize(ram.dirtyRate)}/s${throttled(ram)}`,
    );
  }
  if (status.role === "source") {
    const { bandwidth, share, maxDowntimeMs } = status;
    lines.push(
      `rate ${formatSize(rate)}/s${compressed(status)}, limit ` +
        (bandwidth === null ? "none" : `${formatSize(bandwidth)}/s`) +
        (share === undefined ? "" : `, share of the host's ${formatSize(share)}/s`) +
        (maxDowntimeMs === null ? "" : `, downtime limit ${maxDowntimeMs} ms`),
    );
  }
  if (link.state === "down") {
    lines.push(linkWords(link));
  }
  if (ending !== null) lines.push(`being undone: ${ending}`);
  lines.push(...(status.steps ?? []));
  lines.push(...status.warnings.map((w) => `warning: ${w}`));
  return [head, ...lines.map((line) => `  ${line}`)].join("\n");
}
