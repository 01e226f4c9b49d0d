import { messageOf } from "../io/mod.ts";
import type { QmpClient } from "./client.ts";
import { QmpClosedError, QmpCommandError } from "./errors.ts";

/** Capabilities and parameters to set; those that this QEMU does not have are skipped. */
export interface WantedSettings {
  /** By QEMU's names, such as `events` (`migrate-set-capabilities`). */
  readonly capabilities?: Readonly<Record<string, boolean>>;
  /** By QEMU's names and in its units (`migrate-set-parameters`). */
  readonly parameters?: Readonly<Record<string, boolean | number | string>>;
  /** Parameters that are set only instead of one value; another value stays. */
  readonly replaced?: Readonly<Record<string, readonly [from: string, to: string]>>;
  /**
   * Names among `parameters` that may change again during the migration. Their old values are remembered
   * even if nothing changes now, so that the journal has them.
   */
  readonly changing?: readonly string[];
}

/** The old values of the settings that were changed. Plain data, for the journal. */
export interface MigrationSettingsRecord {
  /** As `query-migrate-capabilities` returned them. */
  readonly capabilities: { readonly capability: string; readonly state: boolean }[];
  /** As `query-migrate-parameters` returned them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

const NOTHING = { capabilities: {}, parameters: {} };

/**
 * Sets QEMU's migration capabilities and parameters, and restores the old values. Calls are carried
 * out one after the other; after `restore` nothing is set any more.
 */
export class MigrationSettings {
  readonly #client: QmpClient;
  #turn: Promise<void> = Promise.resolve();
  #over = false;
  #before: MigrationSettingsRecord;
  #planned: Required<Pick<WantedSettings, "capabilities" | "parameters">> = NOTHING;

  /**
   * Nothing is set yet.
   *
   * @param before old values of settings that an earlier process has changed, to be restored too.
   */
  constructor(
    client: QmpClient,
    before: MigrationSettingsRecord = { capabilities: [], parameters: {} },
  ) {
    this.#client = client;
    this.#before = before;
  }

  /** The values that `restore` will set. */
  get before(): MigrationSettingsRecord {
    return this.#before;
  }

  /**
   * Sets what is wanted and remembers the old values. Parameters that were changed before are not
   * queried again: QEMU reads QMP slowly, and the guest may be about to be paused.
   *
   * @throws as `QmpClient.execute`.
   */
  async apply(wanted: WantedSettings): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#over) return;
      const { capabilities = {}, parameters = {}, replaced = {} } = wanted;
      const known = Object.keys({ ...capabilities, ...replaced }).length === 0 &&
        Object.keys(parameters).every((name) => name in this.#before.parameters);
      if (known) this.#planned = { capabilities, parameters };
      else await this.#plan(wanted);
      await this.#set();
    });
  }

  /** Finds the settings that must change and remembers their old values; {@link set} changes them. */
  async plan(wanted: WantedSettings): Promise<void> {
    await this.#inTurn(() => this.#plan(wanted));
  }

  /** Sets what {@link plan} found. */
  async set(): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#over) await this.#set();
    });
  }

  /**
   * Restores the old values: the capabilities at once, and the parameters at once. QEMU refuses all values
   * of a command for one of them; then each is restored by itself.
   *
   * @throws {Error} with QEMU's reason for each value that it refused; the others are restored.
   * @throws {QmpClosedError} when the connection is over.
   */
  async restore(): Promise<void> {
    await this.#inTurn(() => this.#restore());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #plan(
    { capabilities = {}, parameters = {}, replaced = {}, changing = [] }: WantedSettings,
  ): Promise<void> {
    const [hasCapabilities, has] = await Promise.all([
      this.#client.execute("query-migrate-capabilities", {}),
      this.#client.execute("query-migrate-parameters", {}),
    ]);
    const switched = hasCapabilities.filter(({ capability, state }) =>
      capability in capabilities && capabilities[capability] !== state
    );
    const changes = Object.entries(replaced).filter(([name, [from]]) => has[name] === from)
      .map(([name, [, to]]) => [name, to] as const);
    const wanted = { ...parameters, ...Object.fromEntries(changes) };
    const changed = Object.keys(wanted)
      .filter((name) => name in has && has[name] !== wanted[name]);
    this.#planned = {
      capabilities: Object.fromEntries(switched.map((c) => [c.capability, !c.state])),
      parameters: Object.fromEntries(changed.map((name) => [name, wanted[name]!])),
    };
    const { capabilities: known, parameters: kept } = this.#before;
    const fresh = switched.filter((c) => !known.some((k) => k.capability === c.capability));
    const remembered = [...changed, ...changing.filter((name) => name in has)];
    this.#before = {
      capabilities: [...known, ...fresh],
      parameters: { ...Object.fromEntries(remembered.map((name) => [name, has[name]])), ...kept },
    };
  }

  async #set(): Promise<void> {
    const { capabilities, parameters } = this.#planned;
    this.#planned = NOTHING;
    const list = Object.entries(capabilities).map(([capability, state]) => ({ capability, state }));
    if (list.length > 0) {
      await this.#client.execute("migrate-set-capabilities", { capabilities: list });
    }
    if (Object.keys(parameters).length > 0) {
      await this.#client.execute("migrate-set-parameters", parameters);
    }
  }

  async #restore(): Promise<void> {
    this.#over = true;
    const { capabilities, parameters } = this.#before;
    const values = Object.entries(parameters);
    // A capability may forbid values of parameters, so it comes last. One that is switched on may need
    // another one off, so those that are switched off come first.
    const switches = capabilities.toSorted((a, b) => Number(a.state) - Number(b.state));
    const failed = [
      ...await restoreAll(
        values,
        (some) => this.#client.execute("migrate-set-parameters", Object.fromEntries(some)),
      ),
      ...await restoreAll(
        switches,
        (some) => this.#client.execute("migrate-set-capabilities", { capabilities: some }),
      ),
    ];
    this.#before = { capabilities: [], parameters: {} };
    if (failed.length > 0) throw new Error([...new Set(failed)].join("; "));
  }
}

/**
 * Restores all values at once, or else each by itself.
 *
 * @returns QEMU's reason for each value that it refused.
 * @throws {QmpClosedError} when the connection is over.
 */
async function restoreAll<T>(
  values: readonly T[],
  restore: (values: readonly T[]) => Promise<unknown>,
): Promise<string[]> {
  if (values.length === 0) return [];
  try {
    await restore(values);
    return [];
  } catch (error) {
    if (error instanceof QmpClosedError) throw error;
    // Without an answer QEMU would not answer the next command either.
    if (!(error instanceof QmpCommandError) || values.length === 1) return [messageOf(error)];
  }
  const failed: string[] = [];
  for (const value of values) failed.push(...await restoreAll([value], restore));
  // One reason may concern all of them, such as a migration that runs.
  return [...new Set(failed)];
}
