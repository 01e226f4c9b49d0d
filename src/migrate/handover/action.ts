/**
 * What the steps of a handover are made of: lists of actions, which the driver carries out in order and
 * tests/migrate/handover/model/ interprets, with either tool killed between any two of them.
 *
 * @module
 */

/**
 * Actions on the journal and the state, which the driver carries out itself:
 *
 * * `write S`: writes state S down. The record is durable before the next action begins; if that fails,
 *   so does the step.
 * * `try to write S`: the same where there is no way back: if it fails, this is logged.
 * * `begin to write S`: the next action does not wait; `written` does.
 * * `withdraw S`: `try to write S` where the journal says that the guest may have been handed over.
 * * `written`: waits until everything that was to be written down has been.
 * * `enter`: the step's new state holds from now on.
 */
export type StateAction<S extends string> =
  | `write ${S}`
  | `try to write ${S}`
  | `begin to write ${S}`
  | `withdraw ${S}`
  | "written"
  | "enter";

/** The lists of one side: state -> event -> actions. An event without a list does nothing there. */
export type Lists<S extends string, E extends string, A extends string> = Readonly<
  Record<S, Readonly<Partial<Record<E, readonly A[]>>>>
>;

/** What follows from an event: the state that it leads to, and what is done about it. */
export interface Step<S extends string, A extends string> {
  readonly to: S;
  readonly actions: readonly A[];
}

/** A {@link StateAction} that writes, taken apart; `undefined` for every other action. */
export function writeOf<S extends string>(
  action: string,
):
  | { readonly how: "write" | "try to write" | "begin to write" | "withdraw"; readonly state: S }
  | undefined {
  const match = /^(write|try to write|begin to write|withdraw) (.+)$/.exec(action);
  if (!match) return undefined;
  return { how: match[1] as "write", state: match[2] as S };
}
