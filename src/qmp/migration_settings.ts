import { messageOf } from "../io/mod.ts";
import type { QmpClient } from "./client.ts";
import { QmpClosedError } from "./errors.ts";

/** Capabilities and parameters to set; those that this QEMU does not have are skipped. */
export interface WantedSettings {
  /** By QEMU's names, such as `events` (`migrate-set-capabilities`). */
  readonly capabilities?: Readonly<Record<string, boolean>>;
  /** By QEMU's names and in its units (`migrate-set-parameters`). */
  readonly parameters?: Readonly<Record<string, number | string>>;
}

/** The old values of the settings that were changed. Plain data, for the journal. */
export interface MigrationSettingsRecord {
  /** As `query-migrate-capabilities` returned them. */
  readonly capabilities: { readonly capability: string; readonly state: boolean }[];
  /** As `query-migrate-parameters` returned them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/**
 * Sets QEMU's migration capabilities and parameters, and restores the old values. Calls are carried
 * out one after the other; after `restore` nothing is set any more.
 */
export class MigrationSettings {
  readonly #client: QmpClient;
  #turn: Promise<void> = Promise.resolve();
  #over = false;
  #before: MigrationSettingsRecord;
  #planned: Required<WantedSettings> = { capabilities: {}, parameters: {} };

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
      const { capabilities = {}, parameters = {} } = wanted;
      const known = Object.keys(capabilities).length === 0 &&
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
   * Restores the old values.
   *
   * @throws {Error} with QEMU's reason for each command that it refused; the others are carried out.
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

  async #plan({ capabilities = {}, parameters = {} }: WantedSettings): Promise<void> {
    const [hasCapabilities, hasParameters] = await Promise.all([
      this.#client.execute("query-migrate-capabilities", {}),
      this.#client.execute("query-migrate-parameters", {}),
    ]);
    const switched = hasCapabilities.filter(({ capability, state }) =>
      capability in capabilities && capabilities[capability] !== state
    );
    const changed = Object.keys(parameters).filter((name) =>
      name in hasParameters && hasParameters[name] !== parameters[name]
    );
    this.#planned = {
      capabilities: Object.fromEntries(switched.map((c) => [c.capability, !c.state])),
      parameters: Object.fromEntries(changed.map((name) => [name, parameters[name]!])),
    };
    const { capabilities: known, parameters: kept } = this.#before;
    const fresh = switched.filter((c) => !known.some((k) => k.capability === c.capability));
    this.#before = {
      capabilities: [...known, ...fresh],
      parameters: {
        ...Object.fromEntries(changed.map((name) => [name, hasParameters[name]])),
        ...kept,
      },
    };
  }

  async #set(): Promise<void> {
    const { capabilities, parameters } = this.#planned;
    this.#planned = { capabilities: {}, parameters: {} };
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
    const failed: string[] = [];
    const fail = (error: unknown) => {
      if (error instanceof QmpClosedError) throw error;
      failed.push(messageOf(error));
    };
    if (Object.keys(parameters).length > 0) {
      await this.#client.execute("migrate-set-parameters", parameters)
        .catch(fail);
    }
    if (capabilities.length > 0) {
      await this.#client.execute("migrate-set-capabilities", { capabilities })
        .catch(fail);
    }
    this.#before = { capabilities: [], parameters: {} };
    if (failed.length > 0) throw new Error(failed.join("; "));
  }
}
