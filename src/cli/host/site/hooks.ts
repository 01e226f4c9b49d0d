/**
 * Hooks: commands of the user at two points of a migration, on either side.
 *
 * @module
 */
import type { Logger } from "../../../io/mod.ts";
import {
  MigrationError,
  type MigrationEvent,
  type Outcome,
  type Report,
  type Side,
} from "../../../migrate/mod.ts";
import type { HookArguments } from "../../args/hooks.ts";
import { type RunSiteCommand, runSiteCommand, SiteCommandError } from "./site_command.ts";

/** Outcomes as hooks know them. */
const OUTCOMES: Readonly<Record<Outcome, string>> = {
  migrated: "done",
  failed: "failed",
  cancelled: "cancelled",
  unknown: "unknown",
};

/** What hooks need. */
export interface HooksOptions {
  readonly given: HookArguments;
  readonly role: Side;
  /** The QMP socket; empty where it is not known yet. */
  readonly qmp: () => string;
  /** The other side's address without any secret; empty where it is not known. */
  readonly peer: () => string;
  /** Name and UUID of the guest, once they are known. */
  readonly guest: () => { readonly name: string | null; readonly uuid: string | null } | undefined;
  readonly report: Report;
  readonly log: Logger;
  /** Default: {@link runSiteCommand}. */
  readonly run?: RunSiteCommand;
}

type ResultEvent = MigrationEvent & { readonly event: "result" };

/** The hooks of one run of `migrate` or `receive`. */
export class Hooks {
  readonly #options: HooksOptions;
  #ended = false;
  /** The hook that runs, to its end: one that was given up is being killed. Never rejects. */
  #running: Promise<void> | undefined;

  /** Runs nothing yet. */
  constructor(options: HooksOptions) {
    this.#options = options;
  }

  /**
   * For the option of that name of a migration; nothing without `--hook-before-switchover`. It rejects with a
   * `MigrationError`, code `hook-failed`, or with the signal's reason.
   */
  get beforeSwitchover(): { beforeSwitchover?: (signal: AbortSignal) => Promise<void> } {
    const { given: { beforeSwitchover: command }, role } = this.#options;
    if (command === undefined) return {};
    return {
      beforeSwitchover: async (signal) => {
        try {
          await this.#run("before-switchover", command, {}, signal);
        } catch (error) {
          if (!(error instanceof SiteCommandError)) throw error;
          const message = `The command of --hook-before-switchover ${error.message}`;
          throw new MigrationError("failed", "hook-failed", role, message, { cause: error });
        }
      },
    };
  }

  /**
   * Reports the result, after the hook for it: that runs once, with the first result. Its failure is a
   * warning. Reports at once if no hook runs and there is no such hook. Never rejects.
   */
  async end(result: MigrationEvent): Promise<void> {
    if (this.#running) await this.#running;
    const { given: { after }, report } = this.#options;
    if (after !== undefined && !this.#ended && result.event === "result") {
      this.#ended = true;
      await this.#after(after, result);
    }
    report(result);
  }

  async #after(command: string, { outcome, error }: ResultEvent): Promise<void> {
    const about = { VMFERRY_OUTCOME: OUTCOMES[outcome], VMFERRY_ERROR: error?.code ?? "" };
    try {
      await this.#run("after", command, about);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `The command of --hook-after ${why}. The outcome stays as it is`;
      this.#options.report({ event: "warning", code: "hook-failed", message });
    }
  }

  async #run(
    hook: string,
    command: string,
    about: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { given, role, qmp, peer, log, run = runSiteCommand } = this.#options;
    const { name, uuid } = this.#options.guest() ?? { name: null, uuid: null };
    log.log("info", `hook ${hook}: ${command}`);
    const running = run(command, {
      env: {
        ...siteEnvironment({ role, qmp: qmp(), peer: peer(), name, uuid }),
        ...{ VMFERRY_HOOK: hook, VMFERRY_OUTCOME: "", VMFERRY_ERROR: "", ...about },
      },
      timeoutMs: given.timeoutMs,
      onLine: (line) => log.log("info", `hook ${hook}: ${line}`),
      ...(signal ? { signal } : {}),
    });
    this.#running = running.catch(() => {});
    await running;
  }
}

/** What the environment of a command of the user says of a migration. No member has a secret. */
export function siteEnvironment(of: {
  readonly role: Side;
  readonly qmp: string;
  readonly peer: string;
  readonly name: string | null;
  readonly uuid: string | null;
}): Record<string, string> {
  return {
    VMFERRY_GUEST: of.name ?? "",
    VMFERRY_UUID: of.uuid ?? "",
    VMFERRY_ROLE: of.role,
    VMFERRY_PEER: of.peer,
    VMFERRY_QMP: of.qmp,
  };
}
