/**
 * The command line: arguments in, an exit code out.
 *
 * @module
 */
import { messageOf } from "../io/mod.ts";
import { sshEnded } from "../transport/mod.ts";
import { type Command, parseCommandLine } from "./args/mod.ts";
import { check } from "./commands/check.ts";
import { checkDomainCommand } from "./commands/check_domain.ts";
import { checkLaunch } from "./commands/check_launch.ts";
import { copy } from "./commands/copy.ts";
import { cancel, set, status } from "./commands/control.ts";
import { domain } from "./commands/domain.ts";
import { forward } from "./commands/forward.ts";
import { migrate } from "./commands/migrate.ts";
import { receive } from "./commands/receive.ts";
import { receiveStarted } from "./commands/receive_started.ts";
import { receiveCopy } from "./commands/receive_copy.ts";
import { receiveDomain } from "./commands/receive_domain.ts";
import { receiveLaunch } from "./commands/receive_launch.ts";
import { recover } from "./commands/recover.ts";
import { EXIT, type ExitCode } from "./output/exit_code.ts";
import { aboutRun } from "./report/about.ts";
import { helpText } from "./help/help.ts";
import { Output } from "./output/output.ts";
import { UsageError } from "./args/usage_error.ts";
import { buildKind, VERSION } from "./version.ts";

/** What is said of an error that nobody has thought of. */
const BUG = "this should not happen, please report it; it goes on";

/** Runs the program. Never throws. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  let output = new Output({ json: false, quiet: false, verbose: false });
  // A mistake of ours somewhere else must not end a process that has a guest in its hands.
  const onUnforeseen = (event: PromiseRejectionEvent | ErrorEvent) => {
    event.preventDefault();
    const thrown: unknown = "reason" in event ? event.reason : event.error;
    const what = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
    output.line(`vmferry: ${BUG}: ${what}`);
  };
  globalThis.addEventListener("unhandledrejection", onUnforeseen);
  globalThis.addEventListener("error", onUnforeseen);
  try {
    const command = parseCommandLine(args);
    if ("json" in command) {
      output = new Output(command, undefined, aboutRun(args, Deno.hostname()));
    }
    return await carryOut(command, output);
  } catch (error) {
    output.line(`vmferry: ${messageOf(error)}`);
    if (error instanceof UsageError) return EXIT.usage;
    if (output.log.debugEnabled && error instanceof Error) output.line(error.stack ?? "");
    return EXIT.failed;
  } finally {
    await sshEnded();
    globalThis.removeEventListener("unhandledrejection", onUnforeseen);
    globalThis.removeEventListener("error", onUnforeseen);
    await output.close();
  }
}

async function carryOut(command: Command, output: Output): Promise<ExitCode> {
  switch (command.command) {
    case "help":
      output.answer(helpText(command.topic));
      return EXIT.done;
    case "version":
      output.answer(`vmferry ${VERSION} (${buildKind()}, Deno ${Deno.version.deno})`);
      return EXIT.done;
    case "receive":
      return command.started
        ? await receiveStarted({ ...command, started: command.started }, output)
        : await receive(command, output);
    case "receive-domain":
      return await receiveDomain(command, output);
    case "receive-launch":
      return await receiveLaunch(command, output);
    case "migrate": {
      const { launch, destination } = command;
      if (launch?.dryRun) return await checkLaunch({ ...command, launch, destination }, output);
      return await migrate(command, output);
    }
    case "domain":
      return await domain(command, output);
    case "check-domain":
      return await checkDomainCommand(command, output);
    case "copy":
      return await copy(command, output);
    case "receive-copy":
      return await receiveCopy(command, output);
    case "forward":
      return await forward(command, output);
    case "check": {
      const { launch, destination } = command;
      if (!launch || !destination) return await check(command, output);
      const disks = command.disks.map(({ name }) => name);
      return await checkLaunch({ ...command, launch, destination, disks }, output);
    }
    case "status":
      return await status(command, output);
    case "cancel":
      return await cancel(command, output);
    case "set":
      return await set(command, output);
    case "recover":
      return await recover(command, output);
  }
}
