import type { BlockDevice } from "../device.ts";

/** A device under a name. */
export interface NbdExport {
  /** Empty for the default export. 4096 bytes at most. */
  readonly name: string;
  /** What is served. */
  readonly device: BlockDevice;
  /** For people, in a client's list. */
  readonly description?: string;
}

/** The exports of a server. */
export interface ExportSource {
  /** Those that a client's list names. */
  list(): readonly NbdExport[];
  /**
   * The export of that name; `undefined` where there is none. Asked for once a negotiation and name, so that it
   * may be opened for this client. A rejection ends the negotiation.
   */
  find(name: string): Promise<NbdExport | undefined>;
}

/** The source of exports that exist beforehand. */
export function exportsOf(exports: readonly NbdExport[]): ExportSource {
  return {
    list: () => exports,
    find: (name) => Promise.resolve(exports.find((candidate) => candidate.name === name)),
  };
}
