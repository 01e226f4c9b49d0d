/**
 * Both ends tell each other who they are, so that each one's report shows both.
 *
 * @module
 */
import { DeadlineError } from "../../io/mod.ts";
import { type Introduction, RpcError } from "../../rpc/mod.ts";
import type { Report, Side } from "../events.ts";

/** What an end knows of itself without QEMU. */
export type OwnIntroduction = Omit<Introduction, "qemuVersion">;

/** Reports what the peer said of itself. */
export function reportPeer(report: Report, side: Side, said: Introduction): void {
  const { host, qemuVersion, command, settings } = said;
  report({
    ...{ event: "host", side, command, settings },
    ...(host === null ? {} : { host }),
    ...(qemuVersion === null ? {} : { qemuVersion }),
  });
}

/**
 * Introduces this source to its destination, and reports the answer. Does nothing without `own`. A destination that
 * is older, or does not answer in time, prevents nothing: only the report lacks what it would have said.
 *
 * @param call makes the call.
 * @param qemuVersion of the source; `null` where it is not known.
 * @throws what `call` throws when the session or the migration has ended.
 */
export async function introduce(
  call: (params: Introduction) => Promise<Introduction>,
  { own, qemuVersion, report }: {
    readonly own: OwnIntroduction | undefined;
    readonly qemuVersion: string | null;
    readonly report: Report;
  },
): Promise<void> {
  if (!own) return;
  try {
    const said = await call({ ...own, settings: [...own.settings], qemuVersion });
    reportPeer(report, "destination", said);
  } catch (error) {
    if (!(error instanceof RpcError || error instanceof DeadlineError)) throw error;
  }
}
