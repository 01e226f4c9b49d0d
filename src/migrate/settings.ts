/**
 * The migration settings of QEMU for a crossing, from settings_table.ts. An earlier user may have left
 * values that would break this migration or change its result. vmferry sends the guest's RAM as one
 * pre-copy stream, and nothing else in it. Both sides set these values during the migration and restore
 * the earlier ones.
 *
 * @module
 */
import type { WantedSettings } from "../qmp/mod.ts";
import { CAPABILITIES, PARAMETERS, type SettingRow } from "./settings_table.ts";

/** Migration capabilities for both ends; a QEMU without one of them keeps it out. */
export const ONE_STREAM: Readonly<Record<string, boolean>> = crossing(CAPABILITIES);

/** Migration parameters, as {@link ONE_STREAM}. */
export const PLAIN: Readonly<Record<string, boolean | number | string>> = crossing(PARAMETERS);

/**
 * Values that the source replaces, and what it sets instead; other values stay. `legacy` works with any
 * destination, and `multifd` does not with one before QEMU 9.0.
 */
export const REPLACED: Readonly<Record<string, readonly [from: string, to: string]>> = {
  "zero-page-detection": ["none", "legacy"],
};

/**
 * The settings for `--xbzrle`, for the source alone: every QEMU can load its pages.
 *
 * @param cacheBytes size of QEMU's cache; `undefined` without the option.
 */
export function xbzrleSettings(
  cacheBytes: number | undefined,
): Required<Pick<WantedSettings, "capabilities" | "parameters">> {
  if (cacheBytes === undefined) return { capabilities: {}, parameters: {} };
  return { capabilities: { xbzrle: true }, parameters: { "xbzrle-cache-size": cacheBytes } };
}

function crossing<V extends boolean | number | string>(
  table: Readonly<Record<string, SettingRow>>,
): Record<string, V> {
  return Object.fromEntries(
    Object.entries(table).flatMap(([name, { crossing, side }]) =>
      crossing === undefined || side !== undefined ? [] : [[name, crossing as V]]
    ),
  );
}
