/**
 * The data of a client's options (proto.md, "Option types"). Pure.
 *
 * @module
 */
import { view } from "../bytes.ts";
import * as wire from "../wire.ts";

/** NBD_OPT_INFO and NBD_OPT_GO. */
export interface InfoRequest {
  readonly exportName: string;
  /** Information types, as the client has listed them. */
  readonly types: readonly number[];
}

/** NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export interface ContextRequest {
  readonly exportName: string;
  readonly queries: readonly string[];
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A string of NBD; `undefined` when it is too long, no UTF-8, or has a NUL. */
export function decodeString(bytes: Uint8Array): string | undefined {
  if (bytes.length > wire.MAX_STRING || bytes.includes(0)) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** `undefined` for data that is not what proto.md says. */
export function decodeInfo(data: Uint8Array): InfoRequest | undefined {
  if (data.length < 6) return undefined;
  const numbers = view(data);
  const nameLength = numbers.getUint32(0);
  if (nameLength > data.length - 6) return undefined;
  const exportName = decodeString(data.subarray(4, 4 + nameLength));
  const count = numbers.getUint16(4 + nameLength);
  const begin = 6 + nameLength;
  if (exportName === undefined || data.length !== begin + 2 * count) return undefined;
  const types = Array.from({ length: count }, (_, i) => numbers.getUint16(begin + 2 * i));
  return { exportName, types };
}

/** `undefined` for data that is not what proto.md says. */
export function decodeContexts(data: Uint8Array): ContextRequest | undefined {
  const strings: string[] = [];
  let at = 0;
  const number = () => {
    if (data.length - at < 4) return undefined;
    at += 4;
    return view(data).getUint32(at - 4);
  };
  const string = () => {
    const length = number();
    if (length === undefined || length > data.length - at) return undefined;
    at += length;
    return decodeString(data.subarray(at - length, at));
  };
  const exportName = string();
  const count = number();
  if (exportName === undefined || count === undefined) return undefined;
  while (strings.length < count) {
    const query = string();
    if (query === undefined) return undefined;
    strings.push(query);
  }
  return at === data.length ? { exportName, queries: strings } : undefined;
}
