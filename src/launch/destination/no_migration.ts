import { type Handlers, RpcError } from "../../rpc/mod.ts";

const NO_LAUNCH =
  "This receive runs with --launch, and the source asks for none. Add --launch to migrate, or " +
  "start 'vmferry receive --qmp PATH'";

/**
 * Answers to the first calls of a migration that asks for no launch. Without them its source would think that
 * this end is an older vmferry.
 */
export const NO_MIGRATION: Handlers = { describe: refuse, prepare: refuse };

function refuse(): Promise<never> {
  return Promise.reject(new RpcError("refused", NO_LAUNCH));
}
