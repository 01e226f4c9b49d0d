import { messageOf, withDeadline } from "../../io/mod.ts";
import { systemClock } from "../../io/mod.ts";
import type { ServeAddress } from "../args/control.ts";
import type { Wanted } from "../control/choice.ts";
import { EXIT, type ExitCode } from "../output/exit_code.ts";
import type { Output } from "../output/output.ts";
import { formatHostPort } from "../../transport/mod.ts";
import { onSignals } from "../signals.ts";
import { makeToken } from "./guard.ts";
import { LiveRuns } from "./live_runs.ts";
import { answer } from "./pages.ts";

/** How long browsers may take to get their last answer, ms. */
const CLOSE_MS = 2_000;

/**
 * Shows the migrations of this host to a browser until a signal.
 *
 * @param base the directory of the runs.
 */
export async function serve(
  base: string,
  wanted: Wanted,
  { host, port }: ServeAddress,
  output: Output,
): Promise<ExitCode> {
  const stopped = Promise.withResolvers<void>();
  using _signals = onSignals(() => stopped.resolve());
  const runs = new LiveRuns(base, wanted);
  const token = makeToken();
  let served = { host, port, token };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      ...{ hostname: host, port, onListen: () => {} },
      handler: (request) => answer(request, served, runs),
      onError: (error) => {
        output.log.log("warning", `--serve: ${messageOf(error)}`);
        return new Response("vmferry cannot answer; its log says why\n", { status: 500 });
      },
    });
  } catch (error) {
    const where = formatHostPort({ host, port });
    output.line(`vmferry: --serve: cannot listen on ${where}: ${messageOf(error)}`);
    return EXIT.failed;
  }
  served = { host, port: server.addr.port, token };
  output.answerEvent({ event: "serving", url: `http://${formatHostPort(served)}/${token}/` });
  await stopped.promise;
  await withDeadline(systemClock, CLOSE_MS, "the browsers", server.shutdown()).catch(() => {});
  return EXIT.done;
}
