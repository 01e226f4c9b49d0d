import type { QmpClient } from "./client.ts";

/** What a QEMU has for a migration over several connections. */
export interface MultifdFeatures {
  /** It has the capability (since QEMU 4.0). */
  readonly multifd: boolean;
  /** Values that `multifd-compression` takes (since QEMU 5.0); `none` alone before, and where nobody asked. */
  readonly compressions: readonly string[];
  /** It has `zero-page-detection` (since QEMU 9.0), and finds zero pages in each connection. */
  readonly zeroPages: boolean;
}

/**
 * Asks for it, and sets nothing.
 *
 * @param compression a value other than `none` asks for all values: a long answer, during which QEMU does
 * nothing else.
 * @throws as `QmpClient.execute`.
 */
export async function queryMultifd(qmp: QmpClient, compression: string): Promise<MultifdFeatures> {
  const [capabilities, parameters, compressions] = await Promise.all([
    qmp.execute("query-migrate-capabilities", {}),
    qmp.execute("query-migrate-parameters", {}),
    compression === "none" ? undefined : queryCompressions(qmp),
  ]);
  return {
    multifd: capabilities.some(({ capability }) => capability === "multifd"),
    compressions: compressions ?? ["none"],
    zeroPages: "zero-page-detection" in parameters,
  };
}

async function queryCompressions(qmp: QmpClient): Promise<readonly string[] | undefined> {
  const schema = await qmp.execute("query-qmp-schema", {});
  const entities = new Map(schema.map((entity) => [entity.name, entity]));
  const set = entities.get("migrate-set-parameters")?.["arg-type"];
  const member = entities.get(set ?? "")?.members?.find((m) => m.name === "multifd-compression");
  return entities.get(member?.type ?? "")?.values;
}
