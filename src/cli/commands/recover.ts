import { messageOf, systemClock } from "../../io/mod.ts";
import {
  DestinationPeer,
  type DestinationState,
  type JournalRecord,
  MigrationError,
  qemuFacts,
  recover as putRight,
  type RecoverOptions,
  recoverVerdict,
  type Verdict,
} from "../../migrate/mod.ts";
import { QmpClosedError } from "../../qmp/mod.ts";
import type { Command } from "../args.ts";
import { connector } from "../connecting_end.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { findJournals } from "../journal_file.ts";
import { openQmp } from "../open_qmp.ts";
import type { Output } from "../output.ts";
import { realPath } from "../paths.ts";
import { PrivateRunDir, runBase } from "../run_dir.ts";
import { KEPT_TICKET, KeptTicket } from "../ticket_use.ts";

type Options = Command & { readonly command: "recover" };

/** Looks at a migration whose tool was killed, says how things are, and with `--yes` puts it right. */
export async function recover(options: Options, output: Output): Promise<ExitCode> {
  const { report, log } = output;
  const qmpPath = await realPath(options.qmp);
  const left = (await findJournals(runBase(options.runDir)))
    .filter(({ record }) => record.qmp === qmpPath);
  if (left.length === 0) {
    report({ event: "recover", ...NOTHING, qemu: null, next: [] });
    return EXIT.done;
  }
  let worst: ExitCode = EXIT.done;
  for (const { dir, record } of left) {
    const runDir = PrivateRunDir.adopt(dir);
    const done = { side: record.side, migration: record.migration, state: record.state };
    const qmp = await openQmp(options.qmp, record.side, log).catch((error) => {
      // A socket that nobody serves is a QEMU that has ended; one that is held is not.
      if (error instanceof MigrationError && isGone(error)) return undefined;
      throw error;
    });
    const facts = qmp && await qemuFacts(qmp, record).catch((error) => {
      // It was about to end.
      if (error instanceof QmpClosedError) return undefined;
      throw error;
    });
    if (!qmp || !facts) {
      qmp?.close();
      if (options.yes) await runDir[Symbol.asyncDispose]();
      report({
        event: "recover",
        ...done,
        verdict: "gone",
        done: options.yes,
        qemu: null,
        next: [],
      });
      continue;
    }
    await using _qmp = qmp;
    const destination = await ask(options, record, runDir, output);
    const work: RecoverOptions = {
      qmp,
      record,
      facts,
      destination,
      force: options.force,
      removeFile: (path) => Deno.remove(path).catch(() => {}),
      path: (name) => runDir.path(name),
      clock: systemClock,
      log,
    };
    const verdict = recoverVerdict(work);
    const doIt = (options.yes || options.force) && verdict !== "ask";
    const problems = doIt ? await putRight(work, verdict) : [];
    if (doIt && problems.length === 0) await runDir[Symbol.asyncDispose]();
    report({
      event: "recover",
      ...done,
      verdict,
      done: doIt,
      qemu: facts.status,
      next: [...problems, ...nextSteps(options, record, verdict, doIt)],
    });
    if (verdict === "ask") worst = EXIT.unknown;
    else if (problems.length > 0) worst = EXIT.failed;
  }
  return worst;
}

const NOTHING = {
  side: null,
  migration: null,
  state: null,
  verdict: "nothing",
  done: false,
} as const;

function isGone(error: MigrationError): boolean {
  return /Connection refused|No such file|closed its QMP connection/.test(error.message);
}

/** What the destination says of the guest; `undefined` where it is not asked or does not answer. */
async function ask(
  options: Options,
  record: JournalRecord,
  runDir: PrivateRunDir,
  output: Output,
): Promise<DestinationState | undefined> {
  if (!options.destination || record.side !== "source") return undefined;
  const kept = new KeptTicket(runDir.own(KEPT_TICKET));
  const connect = await connector(options.destination, options, output, { kept: () => kept });
  try {
    const session = await connect(AbortSignal.timeout(options.connectMs * 2));
    const peer = new DestinationPeer(session, { clock: systemClock, log: output.log });
    try {
      return (await peer.status(record.migration)).state;
    } finally {
      await peer.close(1000);
    }
  } catch (error) {
    const message = `The destination could not be asked: ${messageOf(error)}`;
    output.report({ event: "warning", code: "not-asked", message });
    return undefined;
  }
}

/** What the user does next, a sentence each. */
function nextSteps(
  { qmp }: Options,
  record: JournalRecord,
  verdict: Verdict,
  done: boolean,
): string[] {
  const command = `vmferry recover --qmp ${qmp}`;
  if (verdict === "ask" && record.side === "source") {
    const there = record.recoverThere || "vmferry recover --qmp PATH";
    return [
      `at the destination (${record.destination}), see whether the guest runs there: ${there}`,
      `if it does: end this QEMU. If it does not and that QEMU has been ended: ${command} ` +
      "--force-run-here",
    ];
  }
  if (verdict === "ask" && record.state === "lost") {
    return [
      "QEMU was told to run the guest and has not done it so far: see in its monitor and its log why",
      `if the source's QEMU has been ended: ${command} --force-run-here`,
    ];
  }
  if (verdict === "ask") {
    return [
      "the source handed the guest over and waits: 'vmferry receive --resume …' starts it here",
      `if the source's QEMU has been ended: ${command} --force-run-here`,
    ];
  }
  if (!done) return [`${command} --yes does it`];
  if (verdict === "discard") {
    return [
      "if the source's guest stands still, 'vmferry recover --qmp PATH --force-run-here' there " +
      "makes it run again; start a new QEMU here for another try",
    ];
  }
  return [];
}
