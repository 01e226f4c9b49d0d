import { assertNone, type ScenarioContext } from "./scenario.ts";
import type { Pair } from "../pair/pair.ts";
import type { Vmferry } from "./vmferry.ts";

/** A reported failure. */
export interface Told {
  readonly side: "source" | "destination";
  readonly code?: string;
  readonly message: RegExp;
  /** The next steps for the user. */
  readonly next?: RegExp;
}

/** A migration that stands in a phase, for something to happen to it there. */
export interface Standing {
  readonly receive: Vmferry;
  readonly migrate: Vmferry;
}

/** Starts a migration and returns while its disks are copied, for some seconds still, whatever the load. */
export async function whileMirroring(pair: Pair, extra: readonly string[] = []): Promise<Standing> {
  const receive = pair.receive();
  const slow = extra.includes("--bandwidth") ? [] : ["--bandwidth", "2M"];
  const migrate = pair.migrate(await receive.address(), [...slow, ...extra]);
  await migrate.waitEvent("progress", (e) => {
    const disks = e.disks as { transferred: number }[];
    return e.phase === "mirror" && disks.every((d) => d.transferred > 0);
  });
  return { receive, migrate };
}

/**
 * Starts a migration and returns while its memory crosses and can't come to an end: the guest changes
 * more of it than `bandwidth` lets through. The pair's guest must be {@link BUSY}.
 */
export async function whileInRam(
  pair: Pair,
  bandwidth = "4M",
  extra: readonly string[] = [],
): Promise<Standing> {
  const held = pair.gates.source.hold("migrate");
  const receive = pair.receive();
  // A throttle would let the guest come to its end.
  const migrate = pair.migrate(await receive.address(), ["--no-auto-converge", ...extra]);
  await held.arrived;
  await pair.set(`bandwidth=${bandwidth}`, "max-downtime=1");
  held.release();
  await migrate.waitEvent("progress", (e) => {
    const ram = e.ram as { iteration: number } | null;
    return e.phase === "ram" && ram !== null && ram.iteration >= 1;
  });
  return { receive, migrate };
}

/** A guest that changes its memory faster than a few MiB/s. */
export const BUSY = { ramPages: 4096, ramStep: 64 } as const;

/** Both ends end with `codes`, and the source tells why. */
export async function assertTold(
  context: ScenarioContext,
  { receive, migrate }: Standing,
  told: Told,
  codes: readonly [migrate: number, receive: number] = [1, 1],
): Promise<string> {
  const ended = await Promise.all([migrate.exit(100_000), receive.exit(100_000)]);
  const result = await migrate.waitEvent("result") as unknown as {
    error: { code: string; message: string; side: string };
    next: string[];
  };
  const { error, next } = result;
  context.note(JSON.stringify({ error, next }));
  const faults: string[] = [];
  if (ended.join() !== codes.join()) faults.push(`They ended with ${ended}, expected ${codes}`);
  if (error.side !== told.side || !told.message.test(error.message)) {
    faults.push(`Got ${JSON.stringify(error)}, expected ${told.message} of the ${told.side}`);
  }
  if (told.code !== undefined && error.code !== told.code) {
    faults.push(`Got code ${error.code}, expected ${told.code}`);
  }
  if (told.next && !told.next.test(next.join("\n"))) {
    faults.push(`Got next ${JSON.stringify(next)}, expected ${told.next}`);
  }
  assertNone(faults);
  return `${error.side}: ${error.message}`;
}
