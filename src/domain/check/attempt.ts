import { ImageInfoError, ProgramError } from "../../host/mod.ts";
import { VirshError, XmlFormatError } from "../../libvirt/mod.ts";
import { isErrorCode, type Side } from "../../migrate/mod.ts";
import { RpcError } from "../../rpc/mod.ts";
import type { Collected } from "./findings.ts";
import { quoted } from "./words.ts";

/**
 * Waits for a fact. An answer that is an error becomes a problem, so that the other checks go on; a lost
 * session, a deadline and a cancellation end the whole check.
 *
 * @returns `undefined` after a problem.
 */
export async function attempt<T>(
  work: Promise<T>,
  side: Side,
  found: Collected,
): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof VirshError) {
      if (error.failure === "not-found") found.problem(side, "virsh-missing", NO_VIRSH);
      else found.problem(side, "libvirt-unreachable", virshFailed(error));
    } else if (error instanceof RpcError) {
      const code = isErrorCode(error.code) ? error.code : "peer-error";
      const isOld = error.code === "unknown-procedure";
      const each = error.problems.length > 0 ? error.problems : [error.message];
      for (const message of isOld ? [NO_DOMAINS] : each) found.problem(side, code, message);
    } else if (
      error instanceof XmlFormatError || error instanceof ImageInfoError ||
      error instanceof ProgramError
    ) {
      found.problem(side, "libvirt-unreachable", error.message);
    } else throw error;
    return undefined;
  }
}

/** Waits for a fact that the check can do without. @returns `undefined` where virsh fails. */
export async function ifKnown<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof VirshError) return undefined;
    throw error;
  }
}

function virshFailed(error: VirshError): string {
  return `libvirt rejects 'virsh ${error.args[0] ?? ""}': ${quoted(error.text)}`;
}

const NO_VIRSH = "there is no virsh on this host, expected libvirt's client. Install it " +
  "(package libvirt-clients or libvirt-client)";
const NO_DOMAINS = "the peer does not serve domains of libvirt. Start it with " +
  "'vmferry receive --libvirt', version 1.1 or later";
